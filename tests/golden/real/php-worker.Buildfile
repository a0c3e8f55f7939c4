#syntax=docker/dockerfile:1
FROM composer:2 AS composer
FROM php:8.4-fpm-bookworm AS base
SHELL ["/bin/bash", "-euxo", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN <<-EOF
	apt-get update
	apt-get install -y --no-install-recommends \
		libicu-dev \
		libzip-dev
	docker-php-ext-install -j"$(nproc)" intl opcache zip
	rm -rf /var/lib/apt/lists/*
EOF
ENV INI=/usr/local/etc/php
ENV PHP_INI_SCAN_DIR=":$INI/app.d"
COPY --link conf/*.ini $INI/app.d/
COPY --link --chmod=755 bin/entrypoint /usr/local/bin/
VOLUME /app/var/
ENTRYPOINT ["entrypoint"]
HEALTHCHECK --start-period=60s CMD cgi-fcgi -bind -connect 127.0.0.1:9000 || exit 1

FROM base AS dev
ENV APP_ENV=dev XDEBUG_MODE=off
RUN mv "$INI/php.ini-development" "$INI/php.ini"

FROM base AS prod
ENV APP_ENV=prod
COPY --from=composer /usr/bin/composer /usr/bin/composer
COPY --link composer.* ./
RUN composer install --no-dev --no-scripts --no-progress
COPY --link --exclude=conf/ --exclude=**/tests . ./
RUN <<-EOF
	mkdir -p var/cache var/log
	composer dump-autoload --classmap-authoritative --no-dev
EOF
USER www-data
