//! Command lines without what looks like a secret.

/// What stands instead of a secret.
const MASK: &str = "***";

/// Words whose value is a secret, in lower case.
const WORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api-key",
    "api_key",
    "accesskey",
    "access-key",
    "access_key",
    "privatekey",
    "private-key",
    "private_key",
    "credential",
    "authorization",
    "bearer",
    "cookie",
    "auth=",
    "pass=",
];

/// How the tokens of well-known services begin.
const TOKENS: &[&str] = &["ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "eyJ", "sk-"];

/// Programs that take a password right after `-p`.
const PASSWORD_AFTER_P: &[&str] = &["mysql", "mariadb", "sshpass"];

/// The command line in one line, with spaces between the arguments. What follows a word such as `password`, a user's
/// name in a URL or in `-u`, and tokens that tell themselves are masked: rather too much than too little.
pub(super) fn masked(arguments: &[String]) -> String {
    let program = arguments.first().map_or("", |first| first.rsplit('/').next().unwrap_or_default());
    let after_p = PASSWORD_AFTER_P.iter().any(|name| program.starts_with(name));
    let mut line = String::new();
    let mut before = Before::Nothing;
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            line.push(' ');
        }
        let option = argument.starts_with('-');
        match before {
            Before::Secret if !option => line.push_str(MASK),
            Before::User if !option => push_until(&mut line, argument, argument.find(':')),
            _ if index == 0 => push_url(&mut line, argument),
            _ if TOKENS.iter().any(|start| argument.starts_with(start)) => line.push_str(MASK),
            _ if after_p && argument.starts_with("-p") && argument.len() > 2 => {
                line.push_str("-p");
                line.push_str(MASK);
            }
            _ => match value_of_secret(argument) {
                Some(end) => push_until(&mut line, argument, Some(end)),
                None => push_url(&mut line, argument),
            },
        }
        before = match &**argument {
            "-u" | "--user" | "--proxy-user" | "-U" => Before::User,
            "-p" if after_p => Before::Secret,
            _ if index > 0 && option && has_word(argument) && value_of_secret(argument).is_none() => Before::Secret,
            // As in `-H "Authorization: Bearer x"` that was not quoted.
            _ if has_word(argument) && argument.ends_with(':') || argument.eq_ignore_ascii_case("bearer") => {
                Before::Secret
            }
            _ => Before::Nothing,
        };
    }
    line
}

/// What the argument before says of this one.
enum Before {
    Nothing,
    Secret,
    User,
}

/// Where the separator before the value of a secret is, if the argument holds one.
fn value_of_secret(argument: &str) -> Option<usize> {
    let lower = argument.to_ascii_lowercase();
    let separator = |word: &&str| {
        let start = lower.find(*word)?;
        let end = start + word.trim_end_matches('=').len();
        lower.get(end..)?.find(['=', ':', ' ']).map(|after| end + after)
    };
    WORDS.iter().filter_map(separator).min().filter(|at| at + 1 < argument.len())
}

fn has_word(argument: &str) -> bool {
    let lower = argument.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
}

/// The argument up to its separator, and the mask after that.
fn push_until(line: &mut String, argument: &str, separator: Option<usize>) {
    match separator.and_then(|at| argument.get(..=at)) {
        Some(shown) => {
            line.push_str(shown);
            line.push_str(MASK);
        }
        None => line.push_str(argument),
    }
}

/// The argument without the password of a URL.
fn push_url(line: &mut String, argument: &str) {
    let secret = || {
        let (_, rest) = argument.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (user, _) = authority.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        let start = argument.len() - rest.len();
        Some((argument.get(..=start + name.len())?, argument.get(start + user.len()..)?))
    };
    match secret() {
        Some((shown, rest)) => {
            line.push_str(shown);
            line.push_str(MASK);
            line.push_str(rest);
        }
        None => line.push_str(argument),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(arguments: &[&str]) -> String {
        masked(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_no_secret_stays() {
        let arguments = ["/usr/bin/app", "--listen=:80", "-c", "/etc/app.conf", "https://example.com/a", "-u", "www"];
        assert_eq!(line(&arguments), arguments.join(" "));
        assert_eq!(line(&["passwd", "bob"]), "passwd bob");
        assert_eq!(line(&[]), "");
    }

    #[test]
    fn the_value_of_a_secret_is_masked_however_it_is_given() {
        assert_eq!(line(&["a", "--password=hunter2"]), "a --password=***");
        assert_eq!(line(&["a", "--db-password", "hunter2", "x"]), "a --db-password *** x");
        assert_eq!(line(&["env", "PGPASSWORD=hunter2", "psql"]), "env PGPASSWORD=*** psql");
        assert_eq!(line(&["curl", "-H", "Authorization: Bearer hunter2"]), "curl -H Authorization:***");
        assert_eq!(line(&["curl", "-H", "Authorization:", "hunter2"]), "curl -H Authorization: ***");
        assert_eq!(line(&["curl", "-u", "bob:hunter2"]), "curl -u bob:***");
        assert_eq!(line(&["a", "--api-key", "hunter2"]), "a --api-key ***");
        assert_eq!(line(&["a", "{\"token\":\"hunter2\"}"]), "a {\"token\":***");
        assert_eq!(line(&["sh", "-c", "SECRET=hunter2 run"]), "sh -c SECRET=***");
        assert_eq!(line(&["a", "-Dapp.pass=hunter2"]), "a -Dapp.pass=***");
        assert_eq!(line(&["mysql", "-phunter2", "-uroot"]), "mysql -p*** -uroot");
        assert_eq!(line(&["sshpass", "-p", "hunter2", "ssh"]), "sshpass -p *** ssh");
        assert_eq!(line(&["a", "ghp_hunter2"]), "a ***");
    }

    #[test]
    fn a_url_keeps_its_user_and_loses_the_password() {
        assert_eq!(line(&["psql", "postgres://bob:hunter2@db/x?y"]), "psql postgres://bob:***@db/x?y");
        assert_eq!(line(&["a", "https://bob:hun@ter2@db"]), "a https://bob:***@db");
        assert_eq!(line(&["a", "https://db/x@y:z"]), "a https://db/x@y:z");
    }

    #[test]
    fn letters_of_several_bytes_do_no_harm() {
        assert_eq!(line(&["a", "ÄÖ-password=ü", "İpassword=ü", "tökén"]), "a ÄÖ-password=*** İpassword=*** tökén");
    }
}
