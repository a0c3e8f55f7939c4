ARG EX=1.18
ARG OTP=27
ARG DEB=bookworm-slim
ARG WITH="hexpm/elixir:${EX}-erlang-${OTP}-debian-${DEB}"
ARG ON="debian:${DEB}"

FROM ${WITH} as compile
ENV MIX_ENV="prod" HEX_HTTP_TIMEOUT=120
WORKDIR /b
RUN mix local.hex --force \
    && mix local.rebar --force
COPY mix.exs mix.lock ./
RUN mix deps.get --only $MIX_ENV
COPY config/config.exs config/${MIX_ENV}.exs config/
RUN mix deps.compile
COPY priv priv
COPY lib lib
RUN mix compile && mix release

FROM ${ON}
ENV LANG C.UTF-8
RUN apt-get update -y \
  # the runtime needs only these
  && apt-get install -y --no-install-recommends libstdc++6 openssl libncurses6 \
  && rm -rf /var/lib/apt/lists/*_*
WORKDIR "/srv/shop"
ENV MIX_ENV="prod"
COPY --from=compile --chown=nobody:nogroup /b/_build/${MIX_ENV}/rel/shop ./
USER nobody
CMD ["bin/shop", "start"]
