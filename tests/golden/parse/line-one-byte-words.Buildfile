FROM a
X
y z
