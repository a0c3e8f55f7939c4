FROM a
ENV A=b C=d　E=f
