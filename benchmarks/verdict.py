"""The bars that the figures are held against, and how one measure is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Bar:
    """What is demanded: `floor` at least, `aim` hoped for; with `at_most` less is better."""

    says: str
    unit: str
    floor: float
    aim: float | None = None
    at_most: bool = False

    def met(self, value: float, wanted: float | None) -> bool | None:
        """Whether a value reaches what is wanted; None when nothing is."""
        if wanted is None:
            return None
        return value <= wanted if self.at_most else value >= wanted


_GET = "GET Patient/{id}, every protection on, requests per second over 16 connections, divided by"
BARS = {
    "get_bare_tls": Bar(f"{_GET} a bare Starlette handler with the same bytes, both over TLS", "ratio", 0.33, 0.45),
    "get_bare_plain": Bar(f"{_GET} the same, both over plain loopback", "ratio", 0.33, 0.45),
    "get_unprotected": Bar(f"{_GET} the same server without token, decision, sealing, audit", "ratio", 0.50, 0.65),
    "get_unsealed": Bar(f"{_GET} the same server with only the sealing off", "ratio", 0.90),
    "page": Bar("page of 50 Observations, protected divided by unprotected, pages per second", "ratio", 0.75),
    "search": Bar("patient+code+date at storage level: time of an EAV index divided by ours, hot", "ratio", 1.5),
    "search_cold": Bar("the same, each patient's first search after opening the store", "ratio", 1.5),
    "import": Bar("transaction import over HTTP, validated, one bundle an fsync, one core", "resources/s", 3000, 6000),
    "create": Bar("single create at storage level: time of plaintext JSON and EAV divided by ours", "ratio", 1.0),
    "audit_append": Bar("audit events made durable, in groups of 100, sealing included", "events/s", 80_000),
    "audit_verify": Bar("1,000,000 audit events verified again", "s", 2.0, at_most=True),
    "consent_cold": Bar("decision over 50 consents of 10 provisions, new request", "us", 200, at_most=True),
    "consent_compiled": Bar("the same, further resources of the same request", "us", 10, at_most=True),
    "relationship_get": Bar(
        "GET Patient in process with a relationship required, processor time divided by that where it is open",
        "ratio",
        1.6,
        at_most=True,
    ),
    "consent_get": Bar(
        "GET Patient/{id}, every patient with a consent, divided by the same server without any", "ratio", 0.9
    ),
    "consent_labels": Bar(
        "page of 50 of 5,000 Observations, labels hiding a tenth: time divided by that without a consent",
        "ratio",
        1.2,
        at_most=True,
    ),
    "invisible_careful": Bar(
        "in process, 5,000 pairs a question: how well time tells who hides something from who has nothing such (AUC)",
        "of 1",
        0.55,
        at_most=True,
    ),
    "invisible_plain": Bar("the same, from who never gave a consent either", "of 1", 0.55, at_most=True),
    "token": Bar("token endpoint, client_credentials with ES384, tokens a second of processor time", "tokens/s", 400),
    "token_check": Bar("the look at a token before every answer, in process", "us", 5, at_most=True),
    "password_known": Bar("one look-up among 474,743 known passwords", "us", 10, at_most=True),
    "sign_in_loop": Bar(
        "20 passwords hashed on the core that answers: p99 of a turn of the loop divided by that without",
        "ratio",
        3.0,
        at_most=True,
    ),
    "sign_in_auc": Bar(
        "time of a refused sign-in, real hash: AUC of whether there is such an account", "AUC", 0.55, at_most=True
    ),
    "sign_in_p99": Bar("GETs, 200 a second: p99 during 20 sign-ins divided by quiet", "ratio", 3.0, at_most=True),
    "broker_unwrap": Bar("one patient's key from the key broker, median round trip", "us", 30, at_most=True),
    "limit_cost": Bar("processor time that counting every limit adds to a protected GET", "us", 3.0, at_most=True),
    "limit_abuse": Bar(
        "p95 of a caller's GETs while another goes on asking over its limit, divided by that of quiet rounds",
        "ratio",
        1.05,
        at_most=True,
    ),
    "disk": Bar(
        "bytes on disk divided by plaintext JSON with an EAV index, both compacted", "ratio", 0.4, at_most=True
    ),
    "memory": Bar("resident memory of a worker with 50,000 patients in the directory", "MB", 250, at_most=True),
    "start": Bar("from starting that server to its first answer", "s", 3.0, at_most=True),
    "growth_get": Bar("GET Patient/{id}: rate at ten times the patients divided by the rate before", "ratio", 0.9),
    "growth_search": Bar("search in one patient's record: the same", "ratio", 0.9),
    "growth_find": Bar("search for a patient by identifier: the same", "ratio", 0.9),
    "workers": Bar(
        "protected GETs a second on two cores, two workers divided by one, the client counted", "ratio", 1.4
    ),
    "workers_postgres": Bar("the same on PostgreSQL, whose server has the same two cores", "ratio", 1.4),
    "postgres_get": Bar("GET Patient/{id}, every protection on: PostgreSQL's rate divided by the file's", "ratio", 0.7),
    "postgres_search": Bar(
        "patient+code+date on PostgreSQL, storage level: time of an EAV index there divided by ours", "ratio", 1.2
    ),
    "postgres_import": Bar("transaction import over HTTP into PostgreSQL, one core for medlock", "resources/s", 2000),
    "backup_p99": Bar(
        "200 requests/s on the file, one full backup after another: p99 divided by that of quiet rounds",
        "ratio",
        2.0,
        at_most=True,
    ),
    "keys_rewrap_million": Bar(
        "1,000,000 keys wrapped anew under a new epoch, processor time", "s", 10.0, at_most=True
    ),
    "deid_fhir_speed": Bar("FHIR de-identification under Safe Harbor, JSON read and written, one core", "MB/s", 20.0),
    "deid_fhir_leaks": Bar("identifiers that an independent scanner finds afterwards", "count", 0, at_most=True),
    "deid_fhir_note_leaks": Bar("the same with every note cleaned by the text engine", "count", 0, at_most=True),
    "deid_search_8": Bar("Adult, 8 quasi-identifiers, k = 5, 2 %: best of all, from the file", "s", 0.4, at_most=True),
    "deid_search_9": Bar("the same with 9", "s", 1.1, at_most=True),
    "deid_million_8": Bar("a million rows, 8 quasi-identifiers, k = 5, 2 %, from the file", "s", 1.0, at_most=True),
    "deid_million_8_rss": Bar("its resident memory", "MB", 1024, at_most=True),
    "deid_million_9": Bar("the same with 9", "s", 3.0, at_most=True),
    "deid_million_9_rss": Bar("its resident memory", "MB", 1024, at_most=True),
    "deid_local_8": Bar("local recoding of Adult, 8 quasi-identifiers, k = 5, from the file", "s", 0.8, at_most=True),
    "deid_local_8_kept": Bar("its granularity", "of 1", 0.9617),
    "deid_local_9": Bar("the same with 9", "s", 3.0, at_most=True),
    "deid_local_9_kept": Bar("its granularity", "of 1", 0.9323),
    "deid_local_t": Bar("the same with 8 and hierarchical t-closeness 0.2", "s", 5.0, at_most=True),
    "deid_local_t_kept": Bar("its granularity", "of 1", 0.6807),
    "deid_measures": Bar("all measures of pycanon on Adult, from the file", "s", 0.3, at_most=True),
    "deid_ground_truth": Bar("optima of ARX found again, score to 1e-9 and as many suppressed", "of 1", 1.0),
    "deid_audit": Bar("audit of 30,000 rows, 9 attributes, every attack with control", "s", 60.0, at_most=True),
    "deid_audit_leaky": Bar("Adult as it is: lower end of the worst singling-out attack's risk", "of 1", 0.9),
    "deid_audit_harmless": Bar(
        "Adult 12-anonymous: upper end of the worst singling-out or linkability attack's risk",
        "of 1",
        0.09,
        at_most=True,
    ),
    "deid_text_verbatim": Bar("ASQ-PHI, held out: identifiers whose value is gone from the output", "%", 99.5),
    "deid_text_strict": Bar("ASQ-PHI, held out: identifiers with every letter and digit covered", "%", 99.0),
    "deid_text_over": Bar(
        "ASQ-PHI, held out: queries without identifiers that lost a word", "%", 5.0, 2.0, at_most=True
    ),
    "deid_text_es": Bar("MEDDOCAN dev, trained on train: identifiers wholly covered", "%", 97.0),
    "deid_text_es_direct": Bar("the same, names, ids and contacts only", "%", 99.5),
    "deid_text_known": Bar("known identifiers that survive, of all spellings rendered", "count", 0, at_most=True),
    "deid_text_speed": Bar("text de-identification, rules and dictionaries, one core", "characters/s", 200_000),
    "deid_text_speed_models": Bar("the same with the slowest optional model installed", "characters/s", 25_000),
    "deid_text_memory": Bar("resident memory of the largest of these processes", "MB", 300, at_most=True),
}


def measure(name: str, value: float, **raw: Any) -> dict[str, Any]:
    """One measure for the JSON document: the value against its bar, and the raw figures behind it."""
    bar = BARS[name]
    return {
        "name": name,
        "says": bar.says,
        "unit": bar.unit,
        "value": round(value, 3),
        "floor": bar.floor,
        "aim": bar.aim,
        "met": bar.met(value, bar.floor),
        "aim_met": bar.met(value, bar.aim),
        "raw": raw,
    }
