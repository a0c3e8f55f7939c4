FROM maven:3.9-eclipse-temurin-21
RUN mkdir -p /usr/src/app
WORKDIR /usr/src/app
ONBUILD ADD . /usr/src/app
ONBUILD RUN mvn --batch-mode --errors install && \
    rm -rf target/classes
ONBUILD HEALTHCHECK --interval=5s CMD curl -f http://localhost/ || exit 1
