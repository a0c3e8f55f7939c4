# users: any
# Remote caches on servers that others wrote: nginx's WebDAV; and one that checks and changes records as bazel-remote does.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need python3 jq
push_busybox
servers=()
at_end() { kill "${servers[@]}"; }

context servers <<END
FROM $registry/busybox
COPY a /a
RUN cat /a > /b && dd if=/dev/urandom of=/big bs=1024 count=3000 2>/dev/null
RUN cat /b /b > /c
END
echo 1 >"$context/a"

# share NAME URL: two machines, and the first once more
share() {
	local name=$1 url=$2
	say "$name"
	export CBUILD_ROOT=$work/store-$name-1
	cb build --progress plain --cache-to "type=http,url=$url" "$context"
	hasnt "$name: given" "$out" WARNING
	export CBUILD_ROOT=$work/store-$name-2
	cb build --progress none --explain=json --cache-from "type=http,url=$url" -o "$work/out-$name" "$context"
	is "$name: taken" "$(tail -n 1 <<<"$out" | jq -r '[.steps[].status]|join(" ")')" "cached cached cached"
	is "$name: the files" "$(tr '\n' ' ' <"$work/out-$name/c")" "1 1 "
	is "$name: a large layer" "$(stat -c %s "$work/out-$name/big")" 3072000
	export CBUILD_ROOT=$work/store-$name-1
	cb build --progress plain --cache-to "type=http,url=$url" "$context"
	hasnt "$name: given again" "$out" WARNING
}

mkdir "$work/bazel"
python3 "$here/cacheserver.py" "$work/port" "$work/bazel" "$work/log" bazel &
servers+=("$!")
for _ in $(seq 100); do
	[ ! -s "$work/port" ] || break
	sleep 0.1
done
bazel=http://127.0.0.1:$(cat "$work/port")
share bazel "$bazel"
hasnt "all records were messages" "$(cat "$work/log")" REFUSED
rm "$(find "$work/bazel/cas" -size +2000k)"
export CBUILD_ROOT=$work/store-bazel-3
cb build --progress none --explain=json --cache-from "type=http,url=$bazel" "$context"
is "the server does not give records without their layers" "$(tail -n 1 <<<"$out" | jq -r '[.steps[].status]|join(" ")')" "cached ran ran"

nginx=$(PATH=$PATH:/usr/sbin command -v nginx) || skip "nginx (package nginx-light) is not installed: its WebDAV was not tried; the rest was seen"
"$nginx" -V 2>&1 | grep -q http_dav_module || skip "this nginx has no WebDAV; the rest was seen"
need htpasswd
mkdir -p "$work/nginx/files" "$work/nginx/tmp"
chmod -R a+rwX "$work/nginx"
htpasswd -bc "$work/nginx/passwords" builder 'p:w' 2>/dev/null
for _ in $(seq 20); do
	port=$((20000 + RANDOM % 20000))
	cat >"$work/nginx/nginx.conf" <<END
daemon off;
worker_processes 1;
pid $work/nginx/pid;
error_log $work/nginx/error.log;
events { }
http {
	access_log $work/nginx/access.log;
	client_body_temp_path $work/nginx/tmp/body;
	proxy_temp_path $work/nginx/tmp/proxy;
	fastcgi_temp_path $work/nginx/tmp/fastcgi;
	uwsgi_temp_path $work/nginx/tmp/uwsgi;
	scgi_temp_path $work/nginx/tmp/scgi;
	server {
		listen 127.0.0.1:$port;
		root $work/nginx/files;
		client_max_body_size 0;
		location / {
			dav_methods PUT;
			create_full_put_path on;
		}
		location /closed/ {
			auth_basic cache;
			auth_basic_user_file $work/nginx/passwords;
			dav_methods PUT;
			create_full_put_path on;
		}
	}
}
END
	"$nginx" -c "$work/nginx/nginx.conf" -e "$work/nginx/error.log" >"$work/nginx/out" 2>&1 &
	servers+=("$!")
	for _ in $(seq 50); do
		! curl -s -o /dev/null "http://127.0.0.1:$port/" || break 2
		kill -0 "${servers[-1]}" 2>/dev/null || break
		sleep 0.1
	done
done
curl -s -o /dev/null "http://127.0.0.1:$port/" || fail "nginx did not start: $(cat "$work/nginx/out" "$work/nginx/error.log")"
share nginx "http://127.0.0.1:$port/some/where"
is "its files" "$(find "$work/nginx/files/some/where" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | tr '\n' ' ')" "ac cas "
is "no temporary files" "$(find "$work/nginx/tmp" -type f | wc -l)" 0
share nginx-password "http://builder:p%3Aw@127.0.0.1:$port/closed"
export CBUILD_ROOT=$work/store-refused
cb build --progress plain --cache-to "type=http,url=http://builder:wrong@127.0.0.1:$port/closed" "$context"
has "a wrong password" "$out" "401"
hasnt "which nobody sees" "$out" wrong@
