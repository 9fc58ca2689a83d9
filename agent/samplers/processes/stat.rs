//! What the kernel tells of one process: `stat`, `status`, `io` and `limits` (proc_pid_stat(5) and its neighbours).

use crate::samplers::fields::Malformed;

/// The flag of the kernel's own threads (`PF_KTHREAD`, `include/linux/sched.h`).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// Where `SIGCHLD`, 17, is in a mask of signals.
const SIGCHLD_BIT: u64 = 1 << 16;

/// `/proc/PID/stat`, of all threads together. Times are in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat<'a> {
    /// The name, as the kernel cut it (15 bytes of any kind).
    pub comm: &'a [u8],
    /// `R`, `S`, `D`, `Z` and so on.
    pub state: u8,
    /// Who waits for its end.
    pub parent: u32,
    /// Whether it is a thread of the kernel.
    pub kernel: bool,
    /// Page faults without I/O.
    pub minor: u64,
    /// Page faults with I/O.
    pub major: u64,
    /// CPU in its own code.
    pub user: u64,
    /// CPU in the kernel.
    pub system: u64,
    /// CPU in their own code of the children that it has waited for, and of theirs.
    pub reaped_user: u64,
    /// The same in the kernel.
    pub reaped_system: u64,
    /// How many threads it has.
    pub threads: u64,
    /// When it was started, in ticks since boot.
    pub start: u64,
    /// Its address space, in bytes.
    pub virtual_bytes: u64,
    /// Its memory in RAM, in pages.
    pub resident_pages: u64,
}

/// Parses `/proc/PID/stat`. The name in parentheses may hold anything, parentheses and line ends too.
pub fn parse_stat(line: &[u8]) -> Result<Stat<'_>, Malformed> {
    let malformed = |expected| Malformed::new(expected, &String::from_utf8_lossy(line));
    let named = || {
        let open = line.iter().position(|byte| *byte == b'(')?;
        let close = line.iter().rposition(|byte| *byte == b')')?;
        Some((line.get(open + 1..close)?, line.get(close + 1..)?))
    };
    let (comm, rest) = named().ok_or_else(|| malformed("the name in parentheses"))?;
    let mut words = rest.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let state = words.next().and_then(|word| word.first()).ok_or_else(|| malformed("the state"))?;
    let mut skipped = |count: usize, expected| {
        let word = words.nth(count).ok_or_else(|| malformed(expected))?;
        number(word).ok_or_else(|| malformed(expected))
    };
    Ok(Stat {
        comm,
        state: *state,
        parent: u32::try_from(skipped(0, "the parent")?).map_err(|_| malformed("the parent"))?,
        kernel: skipped(4, "the flags")? & KERNEL_THREAD != 0,
        minor: skipped(0, "the minor faults")?,
        major: skipped(1, "the major faults")?,
        user: skipped(1, "the user time")?,
        system: skipped(0, "the system time")?,
        reaped_user: skipped(0, "the user time of children")?,
        reaped_system: skipped(0, "the system time of children")?,
        threads: skipped(2, "the number of threads")?,
        start: skipped(1, "the start time")?,
        virtual_bytes: skipped(0, "the virtual size")?,
        resident_pages: skipped(0, "the resident pages")?,
    })
}

/// A whole number; the kernel prints some of what is never negative as if it could be.
fn number(word: &[u8]) -> Option<u64> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let add = |sum: u64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    };
    let value = (!digits.is_empty()).then(|| digits.iter().try_fold(0, add))??;
    Some(if digits.len() == word.len() { value } else { 0 })
}

/// What is told here of `/proc/PID/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The user that it acts as.
    pub user: Option<u32>,
    /// Its memory in swap, in bytes; threads of the kernel have none.
    pub swapped_bytes: u64,
    /// Whether the kernel buries its children without it, and without adding what they used to what it reaped.
    pub ignores_children: bool,
    /// Times that its main thread gave the CPU away to wait.
    pub voluntary: u64,
    /// Times that the CPU was taken from its main thread.
    pub nonvoluntary: u64,
}

/// Parses `/proc/PID/status`; what it lacks is 0.
pub fn parse_status(text: &[u8]) -> Status {
    let mut status = Status::default();
    for line in text.split(|byte| *byte == b'\n') {
        // Most lines are none of these: the first letters tell.
        match line {
            [b'U', b'i', b'd', b':', ids @ ..] => {
                // Real, effective, saved, of the filesystem.
                let effective = words(ids).nth(1).and_then(number);
                status.user = effective.and_then(|id| u32::try_from(id).ok());
            }
            [b'V', b'm', b'S', b'w', b'a', b'p', b':', size @ ..] => {
                status.swapped_bytes = first(size).saturating_mul(1024);
            }
            [b'S', b'i', b'g', b'I', b'g', b'n', b':', mask @ ..] => {
                let mask = words(mask).next().and_then(|mask| u64::from_str_radix(str::from_utf8(mask).ok()?, 16).ok());
                status.ignores_children = mask.unwrap_or_default() & SIGCHLD_BIT != 0;
            }
            _ => {
                if let Some(count) = line.strip_prefix(b"voluntary_ctxt_switches:") {
                    status.voluntary = first(count);
                } else if let Some(count) = line.strip_prefix(b"nonvoluntary_ctxt_switches:") {
                    status.nonvoluntary = first(count);
                }
            }
        }
    }
    status
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty())
}

fn first(line: &[u8]) -> u64 {
    words(line).next().and_then(number).unwrap_or_default()
}

/// Parses `/proc/PID/io` for the bytes that it caused to be read from, and written to, storage.
pub fn parse_io(text: &[u8]) -> Option<(u64, u64)> {
    let of = |key: &[u8]| {
        let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(key))?;
        words(line).next().and_then(number)
    };
    of(b"read_bytes:").zip(of(b"write_bytes:"))
}

/// Parses `/proc/PID/smaps_rollup` for its part of the memory that it shares, in RAM and in swap, in bytes.
pub fn parse_proportional(text: &[u8]) -> Option<(u64, u64)> {
    let of = |key: &[u8]| {
        let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(key))?;
        words(line).next().and_then(number).map(|kibibytes| kibibytes.saturating_mul(1024))
    };
    of(b"Pss:").map(|resident| (resident, of(b"SwapPss:").unwrap_or_default()))
}

/// Finds the soft limit of open files in `/proc/PID/limits`; `u32::MAX` is also what is above that.
pub fn parse_open_limit(text: &[u8]) -> Option<u32> {
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Max open files"))?;
    match words(line).next()? {
        b"unlimited" => Some(u32::MAX),
        limit => number(limit).map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
    }
}

/// Finds how many threads there are on the host, in `/proc/loadavg`: `0.01 0.02 0.00 1/524 31782`.
pub fn parse_thread_count(text: &[u8]) -> Option<u64> {
    let both = words(text).nth(3)?;
    let slash = both.iter().position(|byte| *byte == b'/')?;
    number(both.get(slash + 1..)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "7 (a) S 1 7 7 0 -1 4194304 900 80 2 3 150 50 40 10 20 0 3 0 1234 8192000 500 1844 1 1 0";

    #[test]
    fn the_fields_stand_where_the_kernel_documents_them() {
        let expected = Stat {
            comm: b"a",
            state: b'S',
            parent: 1,
            kernel: false,
            minor: 900,
            major: 2,
            user: 150,
            system: 50,
            reaped_user: 40,
            reaped_system: 10,
            threads: 3,
            start: 1234,
            virtual_bytes: 8_192_000,
            resident_pages: 500,
        };
        assert_eq!(parse_stat(STAT.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn a_name_may_hold_anything() {
        for name in ["a b", "(a)", ") S 1 (", "a\nb", "", "(((", ")"] {
            let line = STAT.replacen("(a)", &format!("({name})"), 1);
            let stat = parse_stat(line.as_bytes()).unwrap();
            assert_eq!((stat.comm, stat.user), (name.as_bytes(), 150), "{name:?}");
        }
        let odd = [b"7 (\xff\xfe) ", STAT.split_once(") ").unwrap().1.as_bytes()].concat();
        assert_eq!(parse_stat(&odd).unwrap().comm, b"\xff\xfe");
    }

    #[test]
    fn a_thread_of_the_kernel_is_known_by_its_flag() {
        let line = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 4 0 0 20 0 1 0 31 0 0 18446744073709551615";
        let stat = parse_stat(line.as_bytes()).unwrap();
        assert!(stat.kernel && stat.resident_pages == 0);
    }

    #[test]
    fn a_time_that_the_kernel_prints_as_negative_is_none() {
        let stat = STAT.replace(" 40 10 ", " -3 10 ");
        assert_eq!(parse_stat(stat.as_bytes()).unwrap().reaped_user, 0);
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(parse_stat(b"").unwrap_err().expected, "the name in parentheses");
        assert_eq!(parse_stat(b"7 )a( S").unwrap_err().expected, "the name in parentheses");
        assert_eq!(parse_stat(b"7 (a) S 1").unwrap_err().expected, "the flags");
        assert_eq!(parse_stat(b"7 (a) S x").unwrap_err().expected, "the parent");
        assert_eq!(parse_stat(b"7 (a) S 99999999999").unwrap_err().expected, "the parent");
        let long = STAT.replace(" 150 ", " 99999999999999999999 ");
        assert_eq!(parse_stat(long.as_bytes()).unwrap_err().expected, "the user time");
    }

    #[test]
    fn status_tells_user_swap_and_switches() {
        let text = b"Name:\tx\nUid:\t1000\t1001\t1002\t1003\nVmSwap:\t     12 kB\nSigIgn:\t0000000000011000\nvoluntary_ctxt_switches:\t5\n\
            nonvoluntary_ctxt_switches:\t6\n";
        let expected =
            Status { user: Some(1001), swapped_bytes: 12_288, ignores_children: true, voluntary: 5, nonvoluntary: 6 };
        assert_eq!(parse_status(text), expected);
        assert_eq!(parse_status(b"Name:\tkthreadd\n"), Status::default());
    }

    #[test]
    fn io_is_what_storage_did() {
        let text =
            b"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n";
        assert_eq!(parse_io(text), Some((4096, 8192)));
        assert_eq!(parse_io(b"rchar: 1\n"), None);
    }

    #[test]
    fn shared_memory_is_told_in_parts() {
        let text = b"00400000-7ffd [rollup]\nRss:    900 kB\nPss:    300 kB\nPss_Anon:  1 kB\nSwapPss:   7 kB\n";
        assert_eq!(parse_proportional(text), Some((307_200, 7168)));
        assert_eq!(parse_proportional(b"Rss: 900 kB\n"), None);
    }

    #[test]
    fn the_soft_limit_of_open_files_is_found() {
        let text = b"Limit                     Soft Limit           Hard Limit           Units     \n\
            Max open files            1024                 524288               files     \n";
        assert_eq!(parse_open_limit(text), Some(1024));
        assert_eq!(parse_open_limit(b"Max open files            unlimited  unlimited  files\n"), Some(u32::MAX));
        assert_eq!(parse_open_limit(b"Max cpu time  1 2 s\n"), None);
    }

    #[test]
    fn the_threads_of_the_host_are_behind_the_slash() {
        assert_eq!(parse_thread_count(b"0.01 0.02 0.00 1/524 31782\n"), Some(524));
        assert_eq!(parse_thread_count(b"0.01 0.02 0.00 1 2\n"), None);
    }
}
