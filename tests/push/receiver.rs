//! A real collector of either protocol, which can be told to refuse in every way that there is.

use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message;

use crate::collector::{Act, Call, Code, Collector, Status};
use crate::grpc::retry_info;
use crate::http_collector::{HttpCollector, Post, Reply};
use crate::ledger::{Answer, Delivery};

/// Points that a partial success rejects.
pub(crate) const REJECTED: u64 = 3;

/// The real server at the end of the line.
pub(crate) enum Receiver {
    Grpc(Collector),
    Http(HttpCollector),
}

impl Receiver {
    pub(crate) fn port(&self) -> u16 {
        match self {
            Receiver::Grpc(collector) => collector.port,
            Receiver::Http(collector) => collector.port,
        }
    }

    pub(crate) fn protocol(&self) -> &'static str {
        match self {
            Receiver::Grpc(_) => "grpc",
            Receiver::Http(_) => "http",
        }
    }

    pub(crate) fn take(&self) -> Vec<Delivery> {
        match self {
            Receiver::Grpc(collector) => collector.take().into_iter().map(called).collect(),
            Receiver::Http(collector) => collector.take().into_iter().map(posted).collect(),
        }
    }

    /// Answers the next requests with everything that is no success, one each.
    pub(crate) fn refuse(&self, every: bool) {
        match self {
            Receiver::Grpc(collector) => {
                let codes = (1..=16).map(|code| Act::Refuse(Status::new(Code::from(code), "no")));
                let later = Status::with_details(Code::ResourceExhausted, "busy", retry_info(30).into());
                collector.then(codes.chain([Act::Refuse(later)]));
            }
            Receiver::Http(collector) => {
                let statuses = (300..=599).filter(|status| every || REGISTERED.contains(status));
                collector.then(statuses.map(|status| Reply::of(status, &[("retry-after", "20")], "no")));
            }
        }
    }

    /// Takes the next request but for some points.
    pub(crate) fn reject(&self) {
        match self {
            Receiver::Grpc(collector) => collector.then([Act::Partial(REJECTED as i64, "too old")]),
            Receiver::Http(collector) => collector.then([response(REJECTED as i64, "too old")]),
        }
    }

    /// How many answers of the two above are to come.
    pub(crate) fn pending(&self) -> usize {
        match self {
            Receiver::Grpc(collector) => collector.pending(),
            Receiver::Http(collector) => collector.pending(),
        }
    }

    /// Says nothing of it from now on; or so much that nobody reads it.
    pub(crate) fn talk(&self, long: bool) {
        let words = if long { "x".repeat(4 << 20) } else { String::new() };
        match self {
            Receiver::Grpc(collector) => collector.always(Act::Partial(0, words.leak())),
            Receiver::Http(collector) => collector.always(response(0, &words)),
        }
    }
}

fn called(call: Call) -> Delivery {
    let connection = call.from.map_or(0, |from| from.port());
    let answer = match &call.refused {
        None => Answer::Taken,
        Some(status) => match status.code() {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => Answer::Later,
            Code::ResourceExhausted if !status.details().is_empty() => Answer::Later,
            _ => Answer::Never,
        },
    };
    Delivery { request: call.request, connection, answer }
}

fn posted(post: Post) -> Delivery {
    let answer = match post.status {
        200 => Answer::Taken,
        // 407 is no answer of a collector.
        407 | 429 | 502..=504 => Answer::Later,
        _ => Answer::Never,
    };
    let request = ExportMetricsServiceRequest::decode(post.body).unwrap();
    Delivery { request, connection: post.port, answer }
}

fn response(rejected_data_points: i64, message: &str) -> Reply {
    let partial = ExportMetricsPartialSuccess { rejected_data_points, error_message: message.to_owned() };
    let body = ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    Reply::of(200, &[("content-type", "application/x-protobuf")], body)
}

/// What IANA has of 3xx, 4xx and 5xx.
const REGISTERED: [u16; 46] = [
    300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414,
    415, 416, 417, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 506, 507, 508, 511,
];
