//! The files of a cgroup: lines of a key and numbers, as Documentation/admin-guide/cgroup-v2.rst and cgroup-v1 have
//! them. A line that is none is passed over: one odd number of one unit must not hide the others.

/// A block device: major and minor number.
pub type Number = (u32, u32);

/// What version 1 says of a limit that is none: the greatest number of pages, in bytes, whatever the size of a page.
const NO_LIMIT: u64 = 1 << 62;

/// Parses lines such as `usage_usec 1234`.
pub fn parse_flat(text: &str, mut visit: impl FnMut(&str, u64)) {
    for line in text.lines() {
        if let Some((key, value)) = line.split_once(' ')
            && let Ok(value) = value.trim_ascii().parse()
        {
            visit(key, value);
        }
    }
}

/// Parses `io.stat` of version 2: lines such as `8:0 rbytes=90 wbytes=29 rios=8 wios=12 dbytes=0 dios=0`.
pub fn parse_io(text: &str, mut visit: impl FnMut(Number, &str, u64)) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(device) = words.next().and_then(number) else { continue };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            if let Ok(value) = value.parse() {
                visit(device, key, value);
            }
        }
    }
}

/// Parses `blkio.throttle.io_service_bytes` of version 1 and its like: lines such as `8:0 Read 90`.
pub fn parse_blkio(text: &str, mut visit: impl FnMut(Number, &str, u64)) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if let (Some(device), Some(key), Some(value)) = (words.next().and_then(number), words.next(), words.next())
            && let Ok(value) = value.parse()
        {
            visit(device, key, value);
        }
    }
}

/// Parses a limit. Nothing where there is none: `max`, or the number that version 1 has for it.
pub fn parse_limit(text: &str) -> Option<u64> {
    text.trim_ascii().parse().ok().filter(|limit| *limit < NO_LIMIT)
}

fn number(word: &str) -> Option<Number> {
    let (major, minor) = word.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_file_is_keys_and_numbers() {
        let mut seen = Vec::new();
        parse_flat("usage_usec 5\nodd\nx max\nuser_usec 18446744073709551615\n\nnr 1 2\n", |key, value| {
            seen.push((key.to_owned(), value));
        });
        assert_eq!(seen, [("usage_usec".to_owned(), 5), ("user_usec".to_owned(), u64::MAX)]);
    }

    #[test]
    fn io_is_told_by_device() {
        let mut seen = Vec::new();
        let text = "8:0 rbytes=90 wbytes=29 x=y\n253:1 \nrubbish rbytes=1\n8: rbytes=1\n259:3 rios=7\n";
        parse_io(text, |device, key, value| seen.push((device, key.to_owned(), value)));
        let expected = [((8, 0), "rbytes", 90), ((8, 0), "wbytes", 29), ((259, 3), "rios", 7)];
        assert_eq!(seen, expected.map(|(device, key, value)| (device, key.to_owned(), value)));
    }

    #[test]
    fn the_total_of_version_1_is_of_no_device() {
        let mut seen = Vec::new();
        parse_blkio("8:0 Read 90\n8:0 Write 29\n8:0 Total 119\n8:0\nTotal 119\n", |device, key, value| {
            seen.push((device, key.to_owned(), value));
        });
        assert_eq!(seen.len(), 3);
        assert_eq!(seen[1], ((8, 0), "Write".to_owned(), 29));
    }

    #[test]
    fn no_limit_is_no_number() {
        assert_eq!(parse_limit("536870912\n"), Some(536_870_912));
        for none in ["max\n", "9223372036854771712\n", "9223372036854710272\n", "", "x"] {
            assert_eq!(parse_limit(none), None, "{none:?}");
        }
    }
}
