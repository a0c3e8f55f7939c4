# fish completion for cbuild

set -l commands build check graph run parse fmt flatten debug version help
set -l building "not __fish_seen_subcommand_from run parse fmt flatten debug version help"

complete -c cbuild -f
complete -c cbuild -n "not __fish_seen_subcommand_from $commands" -a build -d 'build an image (the default command)'
complete -c cbuild -n "not __fish_seen_subcommand_from $commands" -a check -d 'report what is unwise in a Buildfile, without building'
complete -c cbuild -n "not __fish_seen_subcommand_from $commands" -a graph -d 'print the graph of steps of a build'
complete -c cbuild -n "not __fish_seen_subcommand_from $commands" -a run -d 'run a built image in the foreground'
complete -c cbuild -n "not __fish_seen_subcommand_from $commands" -a parse -d 'check the syntax of a Buildfile, or print its tree'
complete -c cbuild -n "not __fish_seen_subcommand_from $commands" -a fmt -d 'give Buildfiles the common look'
complete -c cbuild -n "not __fish_seen_subcommand_from $commands" -a flatten -d 'print the equivalent Dockerfile in one file'
complete -c cbuild -n "not __fish_seen_subcommand_from $commands" -a debug -d 'answer requests for expansion on standard input'
complete -c cbuild -n "not __fish_seen_subcommand_from $commands" -a version -d 'print the version'
complete -c cbuild -n "not __fish_seen_subcommand_from $commands" -a help -d 'explain cbuild or one command'
complete -c cbuild -n $building -a "(__fish_complete_directories)"
complete -c cbuild -n "__fish_seen_subcommand_from parse" -F
complete -c cbuild -n "__fish_seen_subcommand_from fmt" -F
complete -c cbuild -n "__fish_seen_subcommand_from flatten" -a "(__fish_complete_directories)"
complete -c cbuild -n "__fish_seen_subcommand_from debug" -a words
complete -c cbuild -n "__fish_seen_subcommand_from help" -a "build check graph run parse fmt flatten debug version"
complete -c cbuild -s h -l help -d 'print this help'
complete -c cbuild -n $building -l add-host -x -d 'add a line to /etc/hosts of RUN steps'
complete -c cbuild -n $building -l allow -x -a "network.host security.insecure" -d 'grant what a Buildfile may ask for: network.host, security.insecure'
complete -c cbuild -n $building -l build-arg -x -d 'set an ARG; without a value, from the environment'
complete -c cbuild -n $building -l build-context -x -d 'give FROM, COPY --from and mounts another source called NAME'
complete -c cbuild -n $building -l ca-cert -r -F -d 'trust these certificates (PEM) of registries and servers too'
complete -c cbuild -n $building -l call -x -a "build check outline targets" -d 'build, or only answer: check, outline (arguments, secrets), targets (stages)'
complete -c cbuild -n $building -l check -d 'report build checks and build nothing: --call=check'
complete -c cbuild -n $building -s D -l debug -d 'tell on standard error what happens inside'
complete -c cbuild -n $building -s f -l file -r -F -d 'the Buildfile ("-": standard input); default: Buildfile, Dockerfile, Containerfile or dockerfile in CONTEXT'
complete -c cbuild -n $building -l iidfile -r -F -d 'write the image ID to FILE'
complete -c cbuild -n $building -l insecure-registry -x -d 'allow plain HTTP and unknown certificates for this registry'
complete -c cbuild -n $building -l isolation -x -a "auto root+userns root ranges single" -d 'how RUN steps are separated from the host'
complete -c cbuild -n $building -s j -l jobs -x -d 'run at most N steps at the same time'
complete -c cbuild -n $building -l label -x -d 'add a label to the image'
complete -c cbuild -n $building -l metadata-file -r -F -d 'write digests and names of the result to FILE as JSON'
complete -c cbuild -n $building -l network -x -a "default none host" -d 'network of RUN steps that do not say'
complete -c cbuild -n $building -l no-cache -d 'run every step, use no earlier result'
complete -c cbuild -n $building -l no-cache-filter -x -d 'use no earlier result for these stages'
complete -c cbuild -n $building -s o -l output -x -d 'where the result goes: DIR, "-", or type=oci|docker|local|tar|image,dest=PATH'
complete -c cbuild -n $building -l platform -x -d 'the platform to build for'
complete -c cbuild -n $building -l progress -x -a "auto tty plain rawjson quiet none" -d 'how progress is shown'
complete -c cbuild -n $building -l pull -d 'look for newer base images even when there is a local one'
complete -c cbuild -n $building -s q -l quiet -d 'show no progress, print the image ID'
complete -c cbuild -n $building -l root -x -a "(__fish_complete_directories)" -d 'the store; default: $CBUILD_ROOT, /var/lib/cbuild, or ~/.local/share/cbuild of an ordinary user'
complete -c cbuild -n $building -l secret -x -d 'offer a secret to RUN --mount=type=secret'
complete -c cbuild -n $building -l shm-size -x -d 'size of /dev/shm in RUN steps'
complete -c cbuild -n $building -s t -l tag -x -d 'name the image in the store and in the outputs'
complete -c cbuild -n $building -l target -x -d 'the stage to build; default: the last one'
complete -c cbuild -n $building -l ulimit -x -d 'resource limit of RUN steps'
complete -c cbuild -n "__fish_seen_subcommand_from check" -F
complete -c cbuild -n "__fish_seen_subcommand_from check" -l fail-on -x -a "error warning info style never" -d 'exit with 1 for findings of this severity or worse'
complete -c cbuild -n "__fish_seen_subcommand_from check" -l fix -d 'mend in the file what can be mended mechanically'
complete -c cbuild -n "__fish_seen_subcommand_from check" -l format -x -a "tty json sarif github gitlab checkstyle junit" -d 'tty, json, sarif, github, gitlab, checkstyle or junit'
complete -c cbuild -n "__fish_seen_subcommand_from check" -l standard -d 'only the rules that BuildKit has too'
complete -c cbuild -n "__fish_seen_subcommand_from graph" -l format -x -a "text dot json" -d 'text, dot (graphviz) or json'
complete -c cbuild -n "__fish_seen_subcommand_from run" -l entrypoint -x -d 'run COMMAND in place of the image\'s entry point'
complete -c cbuild -n "__fish_seen_subcommand_from run" -s e -l env -x -d 'set a variable; without a value, from the environment'
complete -c cbuild -n "__fish_seen_subcommand_from run" -l isolation -x -a "auto root+userns root ranges single" -d 'how the command is separated from the host'
complete -c cbuild -n "__fish_seen_subcommand_from run" -l network -x -a "default none host" -d 'network of the command'
complete -c cbuild -n "__fish_seen_subcommand_from run" -l root -x -a "(__fish_complete_directories)" -d 'the store'
complete -c cbuild -n "__fish_seen_subcommand_from run" -s u -l user -x -d 'run as USER'
complete -c cbuild -n "__fish_seen_subcommand_from run" -s w -l workdir -x -d 'start in DIR'
complete -c cbuild -n "__fish_seen_subcommand_from parse" -l format -x -a "json sexp" -d 'print the tree: json or sexp'
complete -c cbuild -n "__fish_seen_subcommand_from fmt" -l check -d 'name the files that would change, and fail if there are any'
complete -c cbuild -n "__fish_seen_subcommand_from fmt" -s w -l write -d 'write the result back to the file'
complete -c cbuild -n "__fish_seen_subcommand_from flatten" -s f -l file -r -F -d 'the Buildfile ("-" is standard input)'
