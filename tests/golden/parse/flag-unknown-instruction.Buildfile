FROM a
FOO --bar --baz=1 -- x
