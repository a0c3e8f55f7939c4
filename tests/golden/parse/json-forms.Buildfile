FROM a
RUN ["a", "b c"]
CMD []
ENTRYPOINT [ "x" ]
SHELL ["/bin/bash","-c"]
COPY ["a b", "c"]
ADD ["x","y","z/"]
VOLUME ["/a", "/b"]
HEALTHCHECK CMD ["x"]
