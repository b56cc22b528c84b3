"""The plain sum at the server."""

from ecg_flare.errors import UpdateError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TRAIN, TrainRequest, TrainResult
from ecg_flare.flare.server.round import ServerRound
from ecg_flare.flare.summation.collection import Ask, Collected, Collection, Steps, require_enough


class PlainCollection(Collection):
    """Each site sends its update to the server, which adds it up as it arrives."""

    def collect(self, request: TrainRequest, terms: JobTerms, open_round: ServerRound, ask: Ask) -> Collected:
        collected = Collected()

        def take(site: str, result: TrainResult) -> None:
            if result.metrics and not terms.reports_metrics:
                raise UpdateError(
                    f"the update comes with {sorted(result.metrics)}, but this job's updates come with nothing beside"
                )
            open_round.add(site, result)
            collected.bytes_up += result.vector.nbytes
            if result.metrics:
                collected.metrics[site] = dict(result.metrics)

        messages = dict.fromkeys(terms.roster, request.to_shareable())
        collected.answered = Steps(ask, collected).run(
            TRAIN, messages, TrainResult.from_shareable, take, enough=terms.min_sites
        )
        collected.bytes_down = request.model.nbytes * len(terms.roster)
        require_enough(collected.answered, terms, request)
        return collected
