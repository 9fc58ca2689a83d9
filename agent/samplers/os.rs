//! The operating system's name and version, from `/etc/os-release`.

use super::fields::Malformed;
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Label, Metric, Unit};
use crate::snapshot::{Labels, Reading};

static INFO: Metric =
    Metric::gauge("node_os_info", Unit::One, "1, with what the distribution calls itself.").labels(&[
        Label::new("build_id"),
        Label::new("id"),
        Label::new("id_like"),
        Label::new("image_id"),
        Label::new("image_version"),
        Label::new("name"),
        Label::new("pretty_name"),
        Label::new("variant"),
        Label::new("variant_id"),
        Label::new("version"),
        Label::new("version_codename"),
        Label::new("version_id"),
    ]);
static VERSION: Metric =
    Metric::gauge("node_os_version", Unit::One, "Version of the distribution, as a number that can be compared.")
        .labels(&[Label::new("id"), Label::new("id_like"), Label::new("name")]);
static SUPPORT_END: Metric = Metric::gauge(
    "node_os_support_end_timestamp_seconds",
    Unit::Seconds,
    "When the distribution gets no more security updates, in seconds since 1970.",
);

/// The declaration of `os`.
pub static SAMPLER: Declaration = Declaration {
    name: "os",
    tier: Tier::Slow,
    metrics: &[&INFO, &VERSION, &SUPPORT_END],
    build: |_| Box::new(Os { told: None }),
};

/// Both places of the file, the first that exists counts (os-release(5)).
const PATHS: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

struct Os {
    told: Option<(Release, Labels, Labels)>,
}

impl Sampler for Os {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let release = read(root, buffer)?;
        let told = match self.told.take() {
            Some(told) if told.0 == release => told,
            _ => {
                let (info, version) = labels(&release);
                (release, info, version)
            }
        };
        let (release, info, version) = self.told.insert(told);
        reading.put_with(&INFO, info, true);
        if let Some(number) = release.number() {
            reading.put_with(&VERSION, version, number);
        }
        if let Some(seconds) = release.support_end() {
            reading.put(&SUPPORT_END, seconds);
        }
        Ok(())
    }
}

/// Reads what the distribution calls itself.
///
/// # Errors
/// [`SampleError::Absent`] where it says nothing, [`SampleError::Read`] or [`SampleError::Parse`] where that cannot be
/// understood.
pub fn read(root: &Root, buffer: &mut Buffer) -> Result<Release, SampleError> {
    match root.host.parse(PATHS[0], buffer, parse) {
        Err(SampleError::Absent(_)) => root.host.parse(PATHS[1], buffer, parse),
        found => found,
    }
}

fn labels(release: &Release) -> (Labels, Labels) {
    let of = |label: &'static Label| (label.name, release.get(&label.name.to_ascii_uppercase()));
    let info: Vec<(&str, &str)> = INFO.labels.iter().map(of).collect();
    let version: Vec<(&str, &str)> = VERSION.labels.iter().map(of).collect();
    (Labels::new(&info), Labels::new(&version))
}

/// The variables of an os-release file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release(Vec<(String, String)>);

/// Parses shell assignments such as `NAME="Debian GNU/Linux"` (os-release(5)).
pub fn parse(text: &str) -> Result<Release, Malformed> {
    let meaningful = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let assignment = |line: &str| {
        let (name, value) = line.split_once('=').ok_or_else(|| Malformed::new("NAME=value", line))?;
        Ok((name.to_owned(), unquote(value)))
    };
    text.lines().map(str::trim_ascii).filter(meaningful).map(assignment).collect::<Result<_, _>>().map(Release)
}

/// What the shell makes of a value: single quotes keep all, double quotes and none let `\` quote the next character.
fn unquote(value: &str) -> String {
    if let Some(literal) = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return literal.to_owned();
    }
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    let mut unquoted = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        unquoted.push(if character == '\\' { characters.next().unwrap_or('\\') } else { character });
    }
    unquoted
}

impl Release {
    /// The value of a variable, empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().rev().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// `24.04` of `24.04.1`; nothing where the distribution has no versions.
    fn number(&self) -> Option<f64> {
        let version = self.get("VERSION_ID");
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let major = digits(version);
        if major == 0 {
            return None;
        }
        let minor = version.get(major..)?.strip_prefix('.').map_or(0, |rest| 1 + digits(rest));
        let number: f64 = version.get(..major + minor)?.parse().ok()?;
        (number > 0.0).then_some(number)
    }

    /// The midnight of `SUPPORT_END=2029-05-31`, in UTC.
    fn support_end(&self) -> Option<i64> {
        let mut parts = self.get("SUPPORT_END").split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let midnight =
            tz::UtcDateTime::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?, 0, 0, 0, 0).ok()?;
        Some(midnight.unix_time())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::trial::sampled;

    fn release(text: &str) -> Release {
        parse(text).unwrap()
    }

    #[test]
    fn the_distribution_is_told() {
        let text = "# Ubuntu\nID=ubuntu\nID_LIKE=debian\nNAME=\"Ubuntu\"\nVERSION_ID='24.04'\n\n";
        let page = sampled(&SAMPLER, &[("etc/os-release", text)]).unwrap();
        let info = concat!(
            r#"node_os_info{build_id="",id="ubuntu",id_like="debian",image_id="",image_version="",name="Ubuntu","#,
            r#"pretty_name="",variant="",variant_id="",version="",version_codename="",version_id="24.04"} 1"#
        );
        assert_eq!(page, [info, r#"node_os_version{id="ubuntu",id_like="debian",name="Ubuntu"} 24.04"#]);
    }

    #[test]
    fn the_vendors_file_counts_where_etc_has_none() {
        let page = sampled(&SAMPLER, &[("usr/lib/os-release", "ID=arch\n")]).unwrap();
        assert_eq!(page.len(), 1);
        assert!(matches!(sampled(&SAMPLER, &[]), Err(SampleError::Absent(_))));
    }

    #[test]
    fn only_major_and_minor_are_a_number() {
        let number = |version| release(&format!("VERSION_ID={version}")).number();
        assert_eq!(number("8.10.3"), Some(8.1));
        assert_eq!(number("12"), Some(12.0));
        assert_eq!(number("3."), Some(3.0));
        assert_eq!(number("rolling"), None);
        assert_eq!(number(".5"), None);
    }

    #[test]
    fn the_end_of_support_is_a_moment() {
        let end = |date| release(&format!("SUPPORT_END={date}")).support_end();
        assert_eq!(end("2025-05-13"), Some(1_747_094_400));
        assert_eq!(end("2025-13-13"), None);
        assert_eq!(end("soon"), None);
    }

    #[test]
    fn quotes_go_as_the_shell_takes_them() {
        assert_eq!(unquote(r#""a \"b\" \$c""#), r#"a "b" $c"#);
        assert_eq!(unquote(r"'a\b'"), r"a\b");
        assert_eq!(unquote("\""), "\"");
        assert_eq!(parse("ID").unwrap_err().to_string(), r#"expected NAME=value in "ID""#);
    }
}
