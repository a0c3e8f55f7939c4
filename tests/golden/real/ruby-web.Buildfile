# syntax=docker/dockerfile:1
# check=error=true
ARG RUBY=3.4
FROM docker.io/library/ruby:$RUBY-slim AS base
WORKDIR /site
ENV RACK_ENV="production" \
    BUNDLE_DEPLOYMENT="1" \
    BUNDLE_PATH="/opt/gems" \
    BUNDLE_WITHOUT="development:test" \
    LD_PRELOAD="/usr/local/lib/libjemalloc.so"
RUN apt-get update -qq && \
    apt-get install --no-install-recommends -y libjemalloc2 libpq5 && \
    ln -s "/usr/lib/$(uname -m)-linux-gnu/libjemalloc.so.2" /usr/local/lib/libjemalloc.so && \
    rm -rf /var/lib/apt/lists /var/cache/apt/archives

FROM base AS gems
RUN apt-get update -qq && apt-get install --no-install-recommends -y build-essential libpq-dev && rm -rf /var/lib/apt/lists
COPY Gemfile Gemfile.lock* ./
RUN --mount=type=cache,target=/root/.bundle,sharing=locked bundle install && rm -rf "$BUNDLE_PATH"/ruby/*/cache

FROM gems AS assets
COPY . .
RUN SECRET_KEY_BASE_DUMMY=1 bundle exec rake assets:precompile

FROM base
RUN useradd --uid 1500 --create-home web
USER 1500:1500
COPY --chown=web:web --from=gems "${BUNDLE_PATH}" "${BUNDLE_PATH}"
COPY --chown=web:web --from=assets /site/public /site/public
EXPOSE 3000
ENTRYPOINT ["./bin/entrypoint"]
CMD ["bundle", "exec", "puma", "-C", "config/puma.rb"]
