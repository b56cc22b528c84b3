"""One of the project's jobs for other sites: what `ecg-flare jobs export` writes and a recipe runs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from ecg_flare.documents import Fields
from ecg_flare.errors import ConfigError
from ecg_flare.federated.counts import exact_bound
from ecg_flare.federated.parts import Clipping, Evaluation, HiddenWeights, Privacy, Roster, Sampling, TrainedModel
from ecg_flare.federated.site_names import check_site_names
from ecg_flare.federated.subset import EVERY_TENSOR
from ecg_flare.federated.summation import summation
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.folders import NO_PUBLIC_CASES, OWN_PAGES, JobSpec, Pages, Training
from ecg_flare.flare.job.terms import check_words, fresh_nonce
from ecg_flare.nnunet.kinds import carried_document, learnt, plan_of, trained_subset
from ecg_flare.nnunet.learnt import AgreedPlan
from ecg_flare.nnunet.settings import TrainingSettings
from ecg_flare.privacy.adaptive_clipping import suggested
from ecg_flare.site.kit import read_object

_SITE_PROFILES: Final = ("district", "university", "archive", "clinic_photo")


@dataclass(frozen=True)
class Changes:
    """What a job for a consortium says otherwise than the project's own; None leaves a value as it is.

    Attributes:
        sites: names of the sites, as FLARE knows them.
        rounds: how many.
        min_sites: fewest sites of a round; None asks for two thirds, and for more where the sum hides updates.
        max_weight: weighs each site by its training pages, at most so many, and hides the numbers in the sum.
        quantile: lets the clipping norm follow this quantile of the patients' updates, from the job's own on.
        delta, epsilon_budget: of the privacy promise.
        seed: of the sites' training. None leaves it to each site where updates are hidden.
        pages: of the sites.
        aggregator: class of the aggregator, as in `JobSpec`; `settings` holds its arguments.
        results: folder of the results; see `JobSpec.folder`.
        measures, mlflow: see `JobSpec`.
        code: whether the job carries the hospital's own code.
        validate_every: rounds from one count on the sites' held-out cases to the next; 0 never counts. A private job
            counts only with `validate_noise`.
        validate_noise: sigma of each count in a private job, a release of its own that is charged.
        validate_cases: most held-out cases of a site, where counts are summed in fixed point without noise.
        training: settings of the sites' training by name, as `TrainingSettings` has them.
        patients, patients_per_site: how many there are at least in all, and at most at a site, where a job hides them.
        plan: of another task than the project's own jobs have; the job then starts from the untrained network, and its
            server has no public data.
        trained: patterns of the tensors that are trained; None leaves them to the job, and to the plan's last part.
        clipping_norm: C, in a job that clips.
        ring_bits: 8 or 16, for a masked sum in narrow words.
    """

    sites: Sequence[str]
    rounds: int | None = None
    min_sites: int | None = None
    max_weight: int | None = None
    quantile: float | None = None
    delta: float | None = None
    epsilon_budget: float | None = None
    seed: int | None = None
    pages: Pages | None = None
    aggregator: str | None = None
    settings: Mapping[str, float] = field(default_factory=dict)
    results: str = ""
    measures: bool = False
    mlflow: str | None = None
    code: bool = True
    validate_every: int | None = None
    validate_noise: float | None = None
    validate_cases: int = 1000
    training: Mapping[str, float] = field(default_factory=dict)
    patients: int | None = None
    patients_per_site: int | None = None
    plan: AgreedPlan | None = None
    trained: Sequence[str] | None = None
    local: Sequence[str] | None = None
    clipping_norm: float | None = None
    ring_bits: int | None = None

    def __post_init__(self) -> None:
        check_site_names(self.sites)
        if self.settings and self.aggregator is None:
            raise ConfigError(f"settings {dict(self.settings)} are arguments of an aggregator, and none is named")

    def check(self, spec: JobSpec) -> None:
        """Raise ConfigError where they ask for what this job does not have: noise, or a draw of patients."""
        if spec.terms.privacy is None and (self.delta is not None or self.epsilon_budget is not None):
            raise ConfigError(f"delta and epsilon_budget are for jobs with noise. {spec.name} adds none.")
        if self.validate_every and spec.terms.private and spec.terms.sampling is None:
            raise ConfigError(
                f"validate_every={self.validate_every}: {spec.name} hides whole sites, and the noise for one "
                "leaves of its counts nothing to see; take the last model, or a job that hides patients"
            )
        if self.validate_every and spec.terms.private and self.validate_noise is None:
            raise ConfigError(
                f"validate_every={self.validate_every}: {spec.name} promises privacy, and each count on held-out cases "
                "would be a release: give it noise of its own (validate_noise, --validate-noise), and the ledger "
                "charges it; or take the last model unmeasured"
            )
        if self.validate_noise is not None and not (self.validate_every and spec.terms.private):
            raise ConfigError("validate_noise is for counts of a private job: give validate_every, or no noise")
        if (self.patients or self.patients_per_site) and spec.terms.sampling is None:
            raise ConfigError(f"patients and patients_per_site are for jobs that hide patients. {spec.name} does not.")
        if self.clipping_norm is not None and spec.terms.clipping is None:
            raise ConfigError(f"clipping_norm={self.clipping_norm} is for jobs that clip. {spec.name} does not.")
        if self.quantile is not None and spec.terms.sampling is None:
            raise ConfigError(f"adaptive clipping is for jobs that hide patients. {spec.name} does not.")


def job_for(spec: JobSpec, changes: Changes) -> JobSpec:
    """The job with these changes, a job of its own by the nonce in its terms.

    Raises ConfigError for impossible ones.
    """
    changes.check(spec)
    if changes.plan is not None:
        spec = _for_plan(spec, changes.plan)
    terms = replace(
        spec.terms,
        model=_model(spec.terms, changes.trained, changes.local),
        sites=equal_roster(changes.sites, spec.terms.summation, changes.min_sites, max_weight=changes.max_weight),
        rounds=changes.rounds or spec.terms.rounds,
        clipping=_clipping(spec.terms, changes),
        privacy=_privacy(spec.terms, changes),
        sampling=_sampling(spec.terms, changes),
        ring_bits=changes.ring_bits or spec.terms.ring_bits,
        nonce=fresh_nonce(),
    )
    check_words(terms)
    by_sums = bool(changes.validate_every) and (changes.plan is not None or not terms.reports_metrics)
    if by_sums:
        terms = replace(terms, evaluation=_evaluation(terms, changes))
    training = _training(spec.training, changes.training)
    if changes.seed is not None or terms.way.hides_updates:
        training = replace(training, seed=changes.seed)
    pages = spec.pages if changes.pages is None else changes.pages
    own = changes.aggregator
    return replace(
        spec,
        aggregator=own or spec.aggregator,
        optimizer=spec.optimizer if own is None else dict(changes.settings),
        terms=terms,
        pages=pages,
        training=training,
        validate_every=0
        if by_sums
        else spec.validate_every
        if changes.validate_every is None
        else changes.validate_every,
        folder=changes.results,
        measures=changes.measures,
        mlflow=changes.mlflow,
        custom=changes.code,
    )


def equal_roster(
    sites: Sequence[str], way: str, min_sites: int | None = None, *, max_weight: int | None = None
) -> Roster:
    """The roster of sites that weigh alike, or by hidden weights; `min_sites` is by default what `way` asks for."""
    hidden = None if max_weight is None else HiddenWeights(max_weight)
    fewest = min_sites or summation(way).default_threshold(len(sites))
    if min_sites is None and fewest > len(sites):
        raise ConfigError(
            f"there are {len(sites)} sites ({', '.join(sites)}), expected {fewest} or more: a {way} sum of fewer could "
            "show one site's update; name more sites, or take a job whose sum is plain"
        )
    return Roster(dict.fromkeys(sites, 1.0), fewest, hidden)


def _for_plan(spec: JobSpec, plan: AgreedPlan) -> JobSpec:
    """The job with another plan: nothing public to start from or to measure on.

    A job that trains the last stage of the decoder alone trains the last part of this network.
    """
    trained = tuple(spec.terms.model.trained)
    if trained != tuple(EVERY_TENSOR):
        trained = plan.last_part
    model = TrainedModel(plan.name, trained, carried_document(plan))
    terms = replace(spec.terms, model=model)
    return replace(spec, terms=terms, start="random:0", public_pages=NO_PUBLIC_CASES)


def check_data(data: str, plan: AgreedPlan | None) -> None:
    """Raise ConfigError where data of one task are given to another."""
    kind = data.partition(":")[0]
    if plan is None:
        if kind == "nnunet":
            raise ConfigError(f"--data {data!r} is a data set of nnU-Net: say --task nnunet, and its --plans")
        return
    of_kind = {"nnunet": "nnunet:FOLDER"} if plan.kind == "nnunet" else {}
    taken = {"own": "own", **of_kind, "source": "source:FILE"}
    if kind not in taken:
        raise ConfigError(f"a job of --task {plan.kind} takes --data {' or '.join(taken.values())}. Found {data!r}.")


def located(data: str, sites: Sequence[str]) -> str:
    """`--data` with the whole path of a folder that is there for the first site, seen from where this runs.

    A site of FLARE's simulator works in a folder of its own. A path that is not here is the sites' own affair, and
    stays as it is.
    """
    kind, _, folder = data.partition(":")
    is_here = bool(sites and folder) and kind != "source" and Path(folder.replace("{site}", sites[0])).is_dir()
    return f"{kind}:{Path(folder).absolute()}" if is_here else data


def pages_of(data: str, sites: Sequence[str], spec: JobSpec) -> Pages:
    """The pages that `--data` names, for these sites: `spec` says how many the synthetic ones are.

    Raises ConfigError for another word than own, custom, synthetic, ptbxl:FOLDER, pages:FOLDER, nnunet:FOLDER or
    source:FILE, and for a file that names no source.
    """
    kind, _, folder = data.partition(":")
    profiles = {site: _SITE_PROFILES[index % len(_SITE_PROFILES)] for index, site in enumerate(sites)}
    own, sources = dict(spec.pages.args), "ecg_flare.task.traces.sources."
    match kind, bool(folder):
        case "custom", False:
            return Pages("site_pages.SitePages", own | {"profiles": profiles})
        case "synthetic", False:
            kept = ("pages_per_site", "pages_per_patient", "seed")
            how_many = {name: own[name] for name in kept if name in own}
            return Pages(sources + "SyntheticPages", how_many | {"profiles": profiles})
        case "ptbxl", True:
            shards = {site: {"shard": index, "of": len(sites)} for index, site in enumerate(sites)}
            return Pages(sources + "PtbxlPages", {"root": folder, "sites": shards, "profiles": profiles})
        case "pages", True:
            return Pages("ecg_flare.task.traces.page_folder.PageFolder", {"folder": folder})
        case "source", True:
            return _source_of(Path(folder))
        case ("nnunet", True) | ("own", False):
            return data_sets(data)
    raise ConfigError(
        f"--data is own, custom, synthetic, ptbxl:FOLDER, pages:FOLDER, nnunet:FOLDER or source:FILE. Found {data!r}."
    )


def _source_of(path: Path) -> Pages:
    """The class and arguments of a case source in a file, which names them as a site's own file does."""
    where = f"{path}, source"
    found = Fields(
        read_object(path, "Give a JSON file as local/ecg_flare_pages.json is.").get("source"), where, ConfigError
    )
    found.only(("path", "args"))
    return Pages(found.text("path"), dict(found.mapping("args")))


def data_sets(data: str) -> Pages:
    """The data sets in nnU-Net's raw format that `--data` names; raises ConfigError for other cases."""
    kind, _, folder = data.partition(":")
    if (kind, folder) == ("own", ""):
        return OWN_PAGES
    if kind != "nnunet" or not folder:
        raise ConfigError(f"a job on data sets takes --data own or nnunet:FOLDER. Found {data!r}.")
    return Pages("ecg_flare.task.datasets.folder.NnunetFolder", {"folder": folder})


def _privacy(terms: JobTerms, changes: Changes) -> Privacy | None:
    privacy = terms.privacy
    if privacy is None:
        return None
    return replace(
        privacy,
        delta=changes.delta or privacy.delta,
        epsilon_budget=changes.epsilon_budget or privacy.epsilon_budget,
    )


def _sampling(terms: JobTerms, changes: Changes) -> Sampling | None:
    sampling = terms.sampling
    if sampling is None:
        return None
    return replace(
        sampling,
        patients=changes.patients or sampling.patients,
        patients_per_site=changes.patients_per_site or sampling.patients_per_site,
    )


def _training(training: Training, changed: Mapping[str, float]) -> Training:
    """The training with other numbers; raises ConfigError for a name that is none of its settings."""
    numbers = {name: type(value) for name, value in asdict(TrainingSettings()).items() if not isinstance(value, str)}
    if unknown := sorted(set(changed) - set(numbers)):
        raise ConfigError(f"training has no setting {unknown[0]!r}: choose among {', '.join(numbers)}")
    for name, value in changed.items():
        if numbers[name] is int and value != int(value):
            raise ConfigError(f"{name} must be a whole number. Found {value}.")
    values = {name: numbers[name](value) for name, value in changed.items()}
    return Training(**{**asdict(training), **values})


def _model(terms: JobTerms, trained: Sequence[str] | None, local: Sequence[str] | None) -> TrainedModel:
    model = terms.model
    if trained is not None:
        model = replace(model, trained=tuple(trained))
    if local is not None:
        model = replace(model, local=tuple(local))
    trained_subset(model)
    return model


def _evaluation(terms: JobTerms, changes: Changes) -> Evaluation:
    """Counts on held-out cases by the job's own way of summing: shares of labels, each of a norm of at most 1."""
    norm = learnt(plan_of(terms.model.plan, terms.model.document)).sums.norm
    bound = norm if terms.sampling is not None else exact_bound(norm, changes.validate_cases)
    return Evaluation(changes.validate_every or 1, bound, changes.validate_noise)


def _clipping(terms: JobTerms, changes: Changes) -> Clipping | None:
    if terms.clipping is None:
        return None
    clipping = replace(terms.clipping, norm=changes.clipping_norm or terms.clipping.norm)
    if changes.quantile is None or terms.privacy is None:
        return clipping
    rule = suggested(
        changes.quantile,
        clipping_norm=clipping.norm,
        noise_multiplier=terms.privacy.noise_multiplier,
        expected_patients=terms.denominator,
    )
    return replace(clipping, adaptive=rule)
