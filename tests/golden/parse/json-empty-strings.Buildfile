FROM a
CMD ["", " "]
COPY ["", ""]
