FROM --platform=$BUILDPLATFORM mcr.microsoft.com/dotnet/sdk:9.0-alpine-aot AS publish
ARG TARGETARCH
WORKDIR /s
COPY --link Api/*.csproj Api/
RUN --mount=type=cache,target=/root/.nuget \
    dotnet restore Api -r "linux-musl-${TARGETARCH/amd64/x64}"
COPY --link Api/. Api
RUN --mount=type=cache,target=/root/.nuget \
    dotnet publish Api -a ${TARGETARCH} --no-restore -o /o && find /o -name '*.dbg' -delete

FROM mcr.microsoft.com/dotnet/runtime-deps:9.0-alpine
COPY --link --from=publish /o /api
USER ${APP_UID:-1654}
EXPOSE 8080
ENTRYPOINT ["/api/Api"]
