# escape=`

FROM mcr.example.org/windows/servercore:ltsc2022 AS installer
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue';"]

ENV NODE_VERSION 20.11.1
RUN $url = ('https://example.org/dist/v{0}/node-v{0}-win-x64.zip' -f $env:NODE_VERSION); `
	Write-Host ('Downloading {0} ...' -f $url); `
	Invoke-WebRequest -Uri $url -OutFile 'node.zip'; `
	Expand-Archive node.zip -DestinationPath C:\; `
	Rename-Item -Path ('C:\node-v{0}-win-x64' -f $env:NODE_VERSION) -NewName 'C:\nodejs'

FROM mcr.example.org/windows/nanoserver:ltsc2022
COPY --from=installer ["C:/nodejs", "C:/nodejs"]
USER ContainerAdministrator
RUN setx /M PATH "C:\nodejs;%PATH%"
USER ContainerUser
CMD ["node.exe"]
