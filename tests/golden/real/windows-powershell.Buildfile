# escape=`

ARG WINDOWS=ltsc2022
FROM mcr.microsoft.com/windows/servercore:${WINDOWS} AS installer
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue';"]

ENV TOOL_VERSION="3.2.1" `
    TOOL_HOME="C:\Program Files\Tool"

RUN $url = ('https://example.com/tool-{0}.zip' -f $env:TOOL_VERSION); `
    Write-Host ('Downloading {0} ...' -f $url); `
    Invoke-WebRequest -Uri $url -OutFile 'tool.zip'; `
    `
    # a comment that the line must survive
    $hash = (Get-FileHash tool.zip -Algorithm sha256).Hash; `
    if ($hash -ne '0123456789ABCDEF') { Write-Host 'FAILED!'; exit 1; }; `
    Expand-Archive tool.zip -DestinationPath 'C:\tool'; `
    Remove-Item tool.zip -Force

FROM mcr.microsoft.com/windows/nanoserver:${WINDOWS}
COPY --from=installer C:\tool\ C:\tool\
COPY ["app files/", "C:/app/"]
WORKDIR C:\app
ENV PATH="C:\tool;C:\Windows\system32;C:\Windows"
USER ContainerUser
CMD ["C:\\tool\\tool.exe", "--serve"]
