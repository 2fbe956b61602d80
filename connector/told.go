package connector

import (
	"maps"
	"slices"

	"go.uber.org/zap"

	"leadstream/internal/delivery"
)

// keysSaid is how many dead letters a line of the log names.
const keysSaid = 5

// reportDeadLetters says that leads could not be published, in one line for those of
// one transaction that have the same reason.
func (p *publisher) reportDeadLetters(deadLetters []delivery.DeadLetter) {
	byReason := map[string][]*delivery.DeadLetter{}
	for i := range deadLetters {
		byReason[deadLetters[i].Reason] = append(byReason[deadLetters[i].Reason], &deadLetters[i])
	}
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		of := byReason[reason]
		var keys []string
		forms := map[string]bool{}
		for _, l := range of {
			if len(keys) < keysSaid {
				keys = append(keys, l.Key())
			}
			if l.Form.ID != "" {
				forms[l.Form.ID] = true
			}
		}
		p.log.Error("leads could not be published and are kept as dead letters", zap.Int("leads", len(of)), zap.String("reason", reason),
			zap.Strings("keys", keys), zap.Strings("forms", slices.Sorted(maps.Keys(forms))), zap.String("stage", of[0].Stage),
			zap.String("todo", deadLettersTodo(reason)))
	}
}

// deadLettersTodo is what to do about dead letters that have a reason.
func deadLettersTodo(reason string) string {
	const retry = ", then stop the connector, run `leadstream deadletters retry` and start it again"
	switch reason {
	case reasonRefused:
		return "see `leadstream deadletters list`; raise what Kafka refuses them for, such as the topic's max.message.bytes" + retry
	}
	return "see `leadstream deadletters list` for what is wrong with them; install a release of leadstream that can read them" + retry
}
