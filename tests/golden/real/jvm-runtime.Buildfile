# syntax=docker/dockerfile:1
FROM eclipse-temurin:21-jdk-alpine AS build
WORKDIR /w
COPY --chmod=0755 mvnw mvnw
COPY .mvn/ .mvn/
RUN --mount=type=bind,source=pom.xml,target=pom.xml \
    --mount=type=cache,target=/root/.m2 ./mvnw -B dependency:go-offline
COPY ./src src/
RUN --mount=type=bind,source=pom.xml,target=pom.xml \
    --mount=type=cache,target=/root/.m2 \
    ./mvnw -B package -DskipTests && mv target/$(./mvnw -q help:evaluate -Dexpression=project.artifactId -DforceStdout)-*.jar app.jar
RUN "$JAVA_HOME/bin/jlink" --add-modules java.base,java.logging,java.naming --strip-debug --no-man-pages --compress=zip-6 --output /jre
FROM alpine:3.21
ENV JAVA_HOME=/opt/jre
ENV PATH="${JAVA_HOME}/bin:${PATH}"
COPY --from=build /jre $JAVA_HOME
COPY --from=build /w/app.jar /app.jar
ARG UID=10001
RUN adduser -D -H -u "${UID}" -s /sbin/nologin app
USER app
ENTRYPOINT ["java", "-XX:MaxRAMPercentage=75", "-jar", "/app.jar"]
