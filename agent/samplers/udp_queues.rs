//! What waits in the queues of UDP sockets, from `/proc/net/udp` and `/proc/net/udp6`.

use super::fields::{Fields, Malformed};
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Label, Metric, Unit};
use crate::snapshot::{Labels, Reading};

static QUEUES: Metric = Metric::gauge(
    "node_udp_queues",
    Unit::Bytes,
    "Bytes that wait in the queues of all UDP sockets; growth of rx means programs that do not read.",
)
.labels(&[Label::new("ip"), Label::new("queue")]);

/// The declaration of `udp_queues`.
pub static SAMPLER: Declaration = Declaration {
    name: "udp_queues",
    tier: Tier::Standard,
    metrics: &[&QUEUES],
    build: |_| {
        let labels = |ip| ["tx", "rx"].map(|queue| Labels::new(&[("ip", ip), ("queue", queue)]));
        Box::new(UdpQueues { versions: [("net/udp", labels("v4")), ("net/udp6", labels("v6"))] })
    },
};

struct UdpQueues {
    versions: [(&'static str, [Labels; 2]); 2],
}

impl Sampler for UdpQueues {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let mut absent = None;
        for (file, [tx, rx]) in &self.versions {
            match root.proc.parse(file, buffer, parse) {
                Ok(queues) => {
                    reading.put_with(&QUEUES, tx, queues.tx_bytes);
                    reading.put_with(&QUEUES, rx, queues.rx_bytes);
                }
                Err(error @ SampleError::Absent(_)) => absent = Some(error),
                Err(error) => return Err(error),
            }
        }
        // A host may lack one version of IP, not both.
        absent.filter(|_| reading.series() == 0).map_or(Ok(()), Err)
    }
}

/// The queues of all sockets together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// Bytes on their way out.
    pub tx_bytes: u64,
    /// Bytes that no program has read yet.
    pub rx_bytes: u64,
}

/// Parses `/proc/net/udp` and `/proc/net/udp6` (proc(5)): `tx:rx` in hexadecimal is the fifth word of each line.
pub fn parse(text: &str) -> Result<Queues, Malformed> {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    if !header.trim_ascii_start().starts_with("sl ") {
        return Err(Malformed::new("the header of the columns", header));
    }
    let mut queues = Queues::default();
    for line in lines {
        let mut fields = Fields::of(line);
        fields.skip(4);
        let word = fields.word("the queues of a socket")?;
        let bytes = |digits| u64::from_str_radix(digits, 16).ok();
        let (tx, rx) = word
            .split_once(':')
            .and_then(|(tx, rx)| bytes(tx).zip(bytes(rx)))
            .ok_or_else(|| Malformed::new("the queues of a socket, tx:rx in hexadecimal,", line))?;
        queues.tx_bytes = queues.tx_bytes.saturating_add(tx);
        queues.rx_bytes = queues.rx_bytes.saturating_add(rx);
    }
    Ok(queues)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "  sl  local_address rem_address   st tx_queue rx_queue …\n";

    #[test]
    fn sockets_are_added_up() {
        let text = format!(
            "{HEADER}  533: 00000000:0044 00000000:0000 07 00000010:00000300 00:00000000 00000000 0\n\
             12345: 0100007F:0035 00000000:0000 07 00000001:0000000A 00:00000000 00000000 0\n"
        );
        assert_eq!(parse(&text), Ok(Queues { tx_bytes: 0x11, rx_bytes: 0x30a }));
    }

    #[test]
    fn no_socket_is_zero_bytes() {
        assert_eq!(parse(HEADER), Ok(Queues::default()));
    }

    #[test]
    fn odd_lines_are_errors() {
        assert!(parse("").is_err());
        assert!(parse(&format!("{HEADER}1: a b 07 00000010")).is_err());
        assert!(parse(&format!("{HEADER}1: a b 07 1:x")).is_err());
        let error = parse(&format!("{HEADER}1: a b\n")).unwrap_err();
        assert_eq!(error.to_string(), r#"expected the queues of a socket in "1: a b""#);
    }
}
