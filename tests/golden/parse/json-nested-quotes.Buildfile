FROM a
ENTRYPOINT ["sh", "-c", "echo \"$HOME\" 'x'"]
