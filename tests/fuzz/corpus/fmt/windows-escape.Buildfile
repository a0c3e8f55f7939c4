# escape=`

FROM mcr.microsoft.com/windows/nanoserver:ltsc2022 AS Base
SHELL ["cmd", "/S", "/C"]
WORKDIR C:\app
ENV TOOLS=C:\tools `
    GREETING="say `"hi`"" `
    SPACED=a` b
RUN curl -fSLo tools.zip https://example.com/tools.zip && `
    tar -xf tools.zip -C C:\tools && `
    del tools.zip
COPY ["a file.txt", "C:\\app\\"]
COPY --chown="Container User" app\ C:\app\
ENTRYPOINT ["C:\\app\\run.exe"]
