FROM ruby:3.3
ONBUILD WORKDIR /usr/src/app
ONBUILD COPY Gemfile Gemfile.lock ./
ONBUILD RUN --mount=type=cache,target=/usr/local/bundle/cache \
    bundle install
ONBUILD COPY <<EOF <<-END /etc/app/
key=$VALUE
EOF
	text
	END
ONBUILD ENV RACK_ENV=production PORT=8080
ONBUILD ENTRYPOINT ["bundle", "exec"]
onbuild cmd rackup -p $PORT
