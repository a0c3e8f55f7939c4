# bash completion for cbuild

_cbuild_options()
{
	case $1 in
	build)
		echo "--add-host --allow --allow-secret-leak --annotation --build-arg --build-context --cache-from --cache-to --ca-cert --call --cgroup-parent --check --ci-output --cpu-period --cpu-quota -c --cpu-shares --cpuset-cpus --cpuset-mems -D --debug --digest-file --dns --dns-option --dns-search --explain -f --file --hostname --iidfile --insecure-registry --isolation -j --jobs --label -m --memory --memory-swap --metadata-file --network --no-cache --no-cache-filter -o --output --output-env --pids-limit --platform --progress --pull --push -q --quiet --registry-retries --registry-timeout --reproducible --resource --root --secret --shm-size --ssh --step-timeout -t --tag --target --timeout --ulimit --upload-chunk --help" ;;
	check)
		echo "--fail-on --fix --format --portable --standard --add-host --allow --allow-secret-leak --annotation --build-arg --build-context --cache-from --cache-to --ca-cert --call --cgroup-parent --check --ci-output --cpu-period --cpu-quota -c --cpu-shares --cpuset-cpus --cpuset-mems -D --debug --digest-file --dns --dns-option --dns-search --explain -f --file --hostname --iidfile --insecure-registry --isolation -j --jobs --label -m --memory --memory-swap --metadata-file --network --no-cache --no-cache-filter -o --output --output-env --pids-limit --platform --progress --pull --push -q --quiet --registry-retries --registry-timeout --reproducible --resource --root --secret --shm-size --ssh --step-timeout -t --tag --target --timeout --ulimit --upload-chunk --help" ;;
	explain)
		echo "--format --root --help" ;;
	graph)
		echo "--format --add-host --allow --allow-secret-leak --annotation --build-arg --build-context --cache-from --cache-to --ca-cert --call --cgroup-parent --check --ci-output --cpu-period --cpu-quota -c --cpu-shares --cpuset-cpus --cpuset-mems -D --debug --digest-file --dns --dns-option --dns-search --explain -f --file --hostname --iidfile --insecure-registry --isolation -j --jobs --label -m --memory --memory-swap --metadata-file --network --no-cache --no-cache-filter -o --output --output-env --pids-limit --platform --progress --pull --push -q --quiet --registry-retries --registry-timeout --reproducible --resource --root --secret --shm-size --ssh --step-timeout -t --tag --target --timeout --ulimit --upload-chunk --help" ;;
	verify)
		echo "--add-host --allow --allow-secret-leak --annotation --build-arg --build-context --cache-from --cache-to --ca-cert --call --cgroup-parent --check --ci-output --cpu-period --cpu-quota -c --cpu-shares --cpuset-cpus --cpuset-mems -D --debug --digest-file --dns --dns-option --dns-search --explain -f --file --hostname --iidfile --insecure-registry --isolation -j --jobs --label -m --memory --memory-swap --metadata-file --network --no-cache --no-cache-filter -o --output --output-env --pids-limit --platform --progress --pull --push -q --quiet --registry-retries --registry-timeout --reproducible --resource --root --secret --shm-size --ssh --step-timeout -t --tag --target --timeout --ulimit --upload-chunk --help" ;;
	run)
		echo "--entrypoint -e --env --isolation --network --root -u --user -w --workdir --help" ;;
	doctor)
		echo "--format --root --help" ;;
	parse)
		echo "--format --help" ;;
	fmt)
		echo "--check -w --write --help" ;;
	flatten)
		echo "-f --file --help" ;;
	fsck)
		echo "--quick --repair --root --help" ;;
	du)
		echo "--filter --format --root -v --verbose --help" ;;
	prune)
		echo "-a --all -n --dry-run --filter -f --force --keep-duration --keep-storage -q --quiet --root --help" ;;
	policy)
		echo "--gc --keep-duration --keep-storage --min-free --quota --root --help" ;;
	push)
		echo "--digest-file --progress -q --quiet --root --ca-cert --insecure-registry --registry-retries --registry-timeout --upload-chunk --help" ;;
	pull)
		echo "-a --all-platforms --digest-file --no-unpack --platform --progress -q --quiet --root --ca-cert --insecure-registry --registry-retries --registry-timeout --upload-chunk --help" ;;
	login)
		echo "-p --password --password-stdin -u --username --ca-cert --insecure-registry --registry-retries --registry-timeout --upload-chunk --help" ;;
	logout)
		echo "--help" ;;
	images)
		echo "--digests --format --no-trunc -q --quiet --root --help" ;;
	tag)
		echo "--root --help" ;;
	rmi)
		echo "-f --force --root --help" ;;
	inspect)
		echo "--platform --raw --root --help" ;;
	history)
		echo "--format --no-trunc --platform --root --help" ;;
	save)
		echo "--format -o --output --root --help" ;;
	load)
		echo "-i --input -q --quiet --root -t --tag --help" ;;
	index)
		echo "--digest-file --push --progress -q --quiet --root --ca-cert --insecure-registry --registry-retries --registry-timeout --upload-chunk --help" ;;
	esac
}

_cbuild()
{
	local cur prev command word
	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}
	command=build
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $word in
		build | check | explain | graph | verify | run | parse | fmt | flatten | doctor | fsck | du | prune | policy | push | pull | login | logout | images | tag | rmi | inspect | history | save | load | index | debug | version | help)
			command=$word
			break
			;;
		esac
	done
	COMPREPLY=()
	case $prev in
	--allow)
		COMPREPLY=($(compgen -W "network.host security.insecure" -- "$cur"))
		return
		;;
	--ca-cert)
		COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	--explain)
		COMPREPLY=($(compgen -W "text json" -- "$cur"))
		return
		;;
	-f | --file)
		COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	--call)
		COMPREPLY=($(compgen -W "build check outline targets" -- "$cur"))
		return
		;;
	--fail-on)
		COMPREPLY=($(compgen -W "error warning info style never" -- "$cur"))
		return
		;;
	--ci-output)
		COMPREPLY=($(compgen -W "github tekton" -- "$cur"))
		return
		;;
	--digest-file | --output-env)
		COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	--iidfile)
		COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	--isolation)
		COMPREPLY=($(compgen -W "auto root+userns root ranges single shared chroot" -- "$cur"))
		return
		;;
	--digest-file | --metadata-file)
		COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	--network)
		COMPREPLY=($(compgen -W "default none host" -- "$cur"))
		return
		;;
	--progress)
		COMPREPLY=($(compgen -W "auto tty plain rawjson quiet none" -- "$cur"))
		return
		;;
	--root)
		COMPREPLY=($(compgen -d -- "$cur"))
		return
		;;
	--format)
		case $command in
		check) COMPREPLY=($(compgen -W "tty json sarif github gitlab checkstyle junit" -- "$cur")) ;;
		parse) COMPREPLY=($(compgen -W "json sexp" -- "$cur")) ;;
		doctor) COMPREPLY=($(compgen -W "text json" -- "$cur")) ;;
		*) COMPREPLY=($(compgen -W "text dot json" -- "$cur")) ;;
		esac
		return
		;;
	--add-host | --annotation | --build-arg | --build-context | --cache-from | --cache-to | -c | --cgroup-parent | --cpu-period | --cpu-quota | --cpu-shares | --cpuset-cpus | --cpuset-mems | --dns | --dns-option | --dns-search | -e | --entrypoint | --env | --hostname | --insecure-registry | -j | --jobs | --label | -m | --memory | --memory-swap | --no-cache-filter | -o | --output | -p | --password | --pids-limit | --platform | --registry-retries | --registry-timeout | --resource | --secret | --shm-size | --ssh | --step-timeout | -t | --tag | --target | --timeout | -u | --ulimit | --upload-chunk | --user | --username | -w | --workdir)
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$(_cbuild_options "$command")" -- "$cur"))
		return
	fi
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W "build check explain graph verify run parse fmt flatten doctor fsck du prune policy push pull login logout images tag rmi inspect history save load index debug version help" -- "$cur"))
	fi
	case $command in
	help) COMPREPLY=($(compgen -W "build check explain graph verify run parse fmt flatten doctor fsck du prune policy push pull login logout images tag rmi inspect history save load index debug version" -- "$cur")) ;;
	debug) COMPREPLY=($(compgen -W "words" -- "$cur")) ;;
	index) COMPREPLY=($(compgen -W "create" -- "$cur")) ;;
	build | explain | graph | verify | flatten) COMPREPLY+=($(compgen -d -- "$cur")) ;;
	check | parse | fmt) COMPREPLY=($(compgen -f -- "$cur")) ;;
	esac
}

complete -o filenames -F _cbuild cbuild
