//! Names of users, from `/etc/passwd`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::samplers::root::{Buffer, Dir};

/// How long a user without a name waits for one.
const AGAIN: Duration = Duration::from_secs(60);

/// The most names that are kept.
const LIMIT: usize = 65_536;

/// Names by number.
#[derive(Debug, Default)]
pub(super) struct Users {
    names: HashMap<u32, String>,
    read: Option<Instant>,
}

impl Users {
    /// The name of a user; its number where it has none.
    pub(super) fn name(&mut self, host: &Dir, buffer: &mut Buffer, user: u32) -> &str {
        let due = self.read.is_none_or(|read| read.elapsed() >= AGAIN);
        if due && !self.names.contains_key(&user) {
            self.read = Some(Instant::now());
            let text = host.read("etc/passwd", buffer).unwrap_or_default();
            self.names = parse_passwd(text).take(LIMIT).map(|(user, name)| (user, name.to_owned())).collect();
        }
        if !self.names.contains_key(&user) && self.names.len() < 2 * LIMIT {
            self.names.insert(user, user.to_string());
        }
        self.names.get(&user).map_or("", |name| name)
    }
}

/// Parses `/etc/passwd` (passwd(5)): numbers and names of users. Of names that share a number the first counts.
pub fn parse_passwd(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let line = |line: &'_ str| -> Option<u32> { line.split(':').nth(2)?.parse().ok() };
    text.lines().rev().filter_map(move |text| Some((line(text)?, text.split(':').next()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::host::Host;

    #[test]
    fn a_user_has_a_name_or_a_number() {
        let host =
            Host::new(&[("etc/passwd", "root:x:0:0::/root:/bin/sh\nwww:x:33:33::/:\ntoor:x:0:0::/:\nodd\n::x\n")]);
        let (mut users, mut buffer) = (Users::default(), Buffer::default());
        assert_eq!(users.name(&host.root.host, &mut buffer, 33), "www");
        assert_eq!(users.name(&host.root.host, &mut buffer, 0), "root");
        assert_eq!(users.name(&host.root.host, &mut buffer, 1000), "1000");
    }
}
