//! The man page and the completions are what the command line's own definition gives; `BLESS=1` writes them anew.

// Helpers of a test may panic as the test may.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use vigie::cli::Cli;

#[test]
fn the_man_page_is_what_the_command_line_defines() {
    keep("packaging/vigie.1", &man_page());
}

#[test]
fn the_completions_are_what_the_command_line_defines() {
    for (shell, file) in [(Shell::Bash, "vigie.bash"), (Shell::Zsh, "_vigie"), (Shell::Fish, "vigie.fish")] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "vigie", &mut text);
        keep(&format!("packaging/completions/{file}"), &text);
    }
}

/// One page with every command: the page that `clap_mangen` makes of each would repeat the options of all.
fn man_page() -> Vec<u8> {
    let mut cli = Cli::command().disable_help_flag(true).disable_version_flag(true);
    cli.build();
    let help = cli.get_after_help().unwrap().to_string();
    let man = Man::new(cli.clone()).section("1").source("vigie");
    let mut page = Vec::new();
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    page.extend(b".SH COMMANDS\n");
    for command in cli.get_subcommands() {
        let mut own = command.clone().mut_args(|argument| {
            let hidden = argument.is_global_set();
            argument.hide(hidden)
        });
        own = own.disable_help_flag(true);
        let mut options = Vec::new();
        Man::new(own.clone()).render_options_section(&mut options).unwrap();
        writeln!(page, ".SS vigie {}\n{}", own.get_name(), own.get_about().unwrap()).unwrap();
        let options = String::from_utf8(options).unwrap();
        page.extend(
            options
                .lines()
                .filter(|line| !line.starts_with(".SH"))
                .flat_map(|line| [line, "\n"])
                .collect::<String>()
                .bytes(),
        );
    }
    for paragraph in help.split("\n\n") {
        let (title, body) = paragraph.split_once('\n').unwrap();
        writeln!(page, ".SH {}\n.nf", title.trim_end_matches(':').to_uppercase().replace([',', '`'], "")).unwrap();
        for line in body.lines() {
            writeln!(page, "{}", line.replace('\\', "\\e").replace('-', "\\-")).unwrap();
        }
        writeln!(page, ".fi").unwrap();
    }
    page.extend(
        b".SH FILES\n.TP\n/etc/vigie/config.toml\nThe configuration; every option stands in it with its default.\n\
          .TP\n/usr/share/vigie/drop\\-ins/\nDrop\\-ins of the systemd unit for what takes more privileges.\n",
    );
    page
}

#[track_caller]
fn keep(path: &str, wanted: &[u8]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, wanted).unwrap();
        return;
    }
    let has = std::fs::read(&file).unwrap_or_default();
    assert!(has == wanted, "{path} is not what the command line defines; BLESS=1 rewrites it");
}
