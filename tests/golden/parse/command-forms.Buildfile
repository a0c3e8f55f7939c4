FROM a
RUN echo "a  b"   c
CMD  x   y  
ENTRYPOINT exec "$0" "$@"
SHELL ["cmd", "/S", "/C"]
RUN a|b>c 2>&1 <d
