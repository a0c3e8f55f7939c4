FROM a
CMD ["a" , "b"]
CMD ["\u00e9\ud83d\ude00\ud83d", "\/\"\\\b\f\n\r\t\u0000", ""]
CMD ["a"] trailing
CMD ['a']
CMD ["a",]
CMD [ ]
ENTRYPOINT []echo
CMD [1e999, 2]
CMD ["tab	inside"]
SHELL ["powershell", "-command"]
RUN ["sh", \
  "-c", \
  # comment
  "true"]
HEALTHCHECK CMD ["curl", "-f"]
HEALTHCHECK --retries=1 cmd  curl  -f
HEALTHCHECK none
