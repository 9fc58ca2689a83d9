# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_vigie_global_optspecs
    string join \n config= set= h/help V/version
end

function __fish_vigie_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_vigie_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_vigie_using_subcommand
    set -l cmd (__fish_vigie_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c vigie -n "__fish_vigie_needs_command" -l config -d 'The configuration [default: /etc/vigie/config.toml where it exists, else built-in defaults]' -r -F
complete -c vigie -n "__fish_vigie_needs_command" -l set -d 'One option, over the configuration: TOML or a bare word, such as sampling.interval=5s (repeatable)' -r
complete -c vigie -n "__fish_vigie_needs_command" -s h -l help -d 'Print help'
complete -c vigie -n "__fish_vigie_needs_command" -s V -l version -d 'Print version'
complete -c vigie -n "__fish_vigie_needs_command" -f -a "run" -d 'Watch this host and serve the page, until told to end'
complete -c vigie -n "__fish_vigie_needs_command" -f -a "check" -d 'Tell everything that is wrong with the configuration, without starting anything'
complete -c vigie -n "__fish_vigie_needs_command" -f -a "sample" -d 'Read this host once and print the page, or what is pushed'
complete -c vigie -n "__fish_vigie_needs_command" -f -a "metrics" -d 'Print the reference of every metric: names, labels, units, meaning'
complete -c vigie -n "__fish_vigie_needs_command" -f -a "capture" -d 'Save what is read of this host, scrubbed, as a folder that can stand for it: for a bug report'
complete -c vigie -n "__fish_vigie_needs_command" -f -a "version" -d 'Print the version, and what it was built for'
complete -c vigie -n "__fish_vigie_needs_command" -f -a "wait" -d 'Wait for a running agent, on the first address of http.listen or of an enabled vigie.socket'
complete -c vigie -n "__fish_vigie_using_subcommand run" -l config -d 'The configuration [default: /etc/vigie/config.toml where it exists, else built-in defaults]' -r -F
complete -c vigie -n "__fish_vigie_using_subcommand run" -l set -d 'One option, over the configuration: TOML or a bare word, such as sampling.interval=5s (repeatable)' -r
complete -c vigie -n "__fish_vigie_using_subcommand run" -s h -l help -d 'Print help'
complete -c vigie -n "__fish_vigie_using_subcommand check" -l config -d 'The configuration [default: /etc/vigie/config.toml where it exists, else built-in defaults]' -r -F
complete -c vigie -n "__fish_vigie_using_subcommand check" -l set -d 'One option, over the configuration: TOML or a bare word, such as sampling.interval=5s (repeatable)' -r
complete -c vigie -n "__fish_vigie_using_subcommand check" -l connect -d 'Also try each address of http.listen and ask each probe once, and tell what is in the way'
complete -c vigie -n "__fish_vigie_using_subcommand check" -s h -l help -d 'Print help'
complete -c vigie -n "__fish_vigie_using_subcommand sample" -l format -d 'How it is written' -r -f -a "prometheus\t'Prometheus\' text format 0.0.4'
openmetrics\t'`OpenMetrics` 1.0'
otlp-json\t'OTLP requests, in OpenTelemetry\'s words, each as one line of OTLP/JSON; nearly always one'"
complete -c vigie -n "__fish_vigie_using_subcommand sample" -l config -d 'The configuration [default: /etc/vigie/config.toml where it exists, else built-in defaults]' -r -F
complete -c vigie -n "__fish_vigie_using_subcommand sample" -l set -d 'One option, over the configuration: TOML or a bare word, such as sampling.interval=5s (repeatable)' -r
complete -c vigie -n "__fish_vigie_using_subcommand sample" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vigie -n "__fish_vigie_using_subcommand metrics" -l format -d 'How it is written' -r -f -a "markdown\t'Tables for people'
json\t'One JSON document for programs'"
complete -c vigie -n "__fish_vigie_using_subcommand metrics" -l config -d 'The configuration [default: /etc/vigie/config.toml where it exists, else built-in defaults]' -r -F
complete -c vigie -n "__fish_vigie_using_subcommand metrics" -l set -d 'One option, over the configuration: TOML or a bare word, such as sampling.interval=5s (repeatable)' -r
complete -c vigie -n "__fish_vigie_using_subcommand metrics" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vigie -n "__fish_vigie_using_subcommand capture" -l config -d 'The configuration [default: /etc/vigie/config.toml where it exists, else built-in defaults]' -r -F
complete -c vigie -n "__fish_vigie_using_subcommand capture" -l set -d 'One option, over the configuration: TOML or a bare word, such as sampling.interval=5s (repeatable)' -r
complete -c vigie -n "__fish_vigie_using_subcommand capture" -s h -l help -d 'Print help'
complete -c vigie -n "__fish_vigie_using_subcommand version" -l config -d 'The configuration [default: /etc/vigie/config.toml where it exists, else built-in defaults]' -r -F
complete -c vigie -n "__fish_vigie_using_subcommand version" -l set -d 'One option, over the configuration: TOML or a bare word, such as sampling.interval=5s (repeatable)' -r
complete -c vigie -n "__fish_vigie_using_subcommand version" -s h -l help -d 'Print help'
complete -c vigie -n "__fish_vigie_using_subcommand wait" -l timeout -d 'The longest to wait; then the exit code is 1' -r
complete -c vigie -n "__fish_vigie_using_subcommand wait" -l config -d 'The configuration [default: /etc/vigie/config.toml where it exists, else built-in defaults]' -r -F
complete -c vigie -n "__fish_vigie_using_subcommand wait" -l set -d 'One option, over the configuration: TOML or a bare word, such as sampling.interval=5s (repeatable)' -r
complete -c vigie -n "__fish_vigie_using_subcommand wait" -l ready -d 'Until it has read the host once and serves the page'
complete -c vigie -n "__fish_vigie_using_subcommand wait" -s h -l help -d 'Print help'
