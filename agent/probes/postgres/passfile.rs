//! Passwords in libpq's own file, `.pgpass` (PostgreSQL's manual, 34.16).

/// The password for that server, database and user: the first line that fits, of
/// `host:port:database:user:password`, where `*` fits everything and `\` takes the next character as it is.
pub fn parse_for<'a>(text: &'a str, host: &str, port: &str, database: &str, user: &str) -> Option<String> {
    let wanted = [host, port, database, user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line: &'a str| {
        let mut fields = fields(line);
        let fits = wanted.iter().all(|wanted| fields.next().is_some_and(|field| field == "*" || field == *wanted));
        // A colon in a password need not be written with a backslash.
        fits.then(|| fields.collect::<Vec<_>>().join(":")).filter(|password| !password.is_empty())
    })
}

fn fields(line: &str) -> impl Iterator<Item = String> {
    let mut rest = Some(line.chars());
    std::iter::from_fn(move || {
        let mut field = String::new();
        let characters = rest.as_mut()?;
        loop {
            match characters.next() {
                None => {
                    rest = None;
                    break;
                }
                Some(':') => break,
                Some('\\') => field.extend(characters.next()),
                Some(other) => field.push(other),
            }
        }
        Some(field)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let text = "# db:1:a:b:no\ndb:5432:shop:vigie:one\n*:*:*:vigie:a\\:b:c\\\\\n*:*:*:*:last\nshort:1\n";
        let password = |host, database, user| parse_for(text, host, "5432", database, user);
        assert_eq!(password("db", "shop", "vigie").as_deref(), Some("one"));
        assert_eq!(password("db", "other", "vigie").as_deref(), Some("a:b:c\\"));
        assert_eq!(password("x", "x", "x").as_deref(), Some("last"));
        assert_eq!(parse_for("db:5432:shop:vigie", "db", "5432", "shop", "vigie"), None);
        assert_eq!(parse_for("", "db", "5432", "shop", "vigie"), None);
    }
}
