# escape=`
FROM mcr.example.org/windows/servercore:ltsc2022
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop';"]
COPY testfile.txt c:\
RUN dir c:\ ; `
    Write-Host "a `"b`" c"
WORKDIR C:\app\bin
ENTRYPOINT ["C:\\app\\run.exe"]
