package status

import (
	"context"
	"errors"
	"maps"
	"slices"

	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/web"
)

// CountDeadLetters counts the dead letters of an installation, anew only when their
// topic has changed.
func CountDeadLetters(cluster *kafka.Client, name string) func(context.Context) (delivery.DeadLetterCount, error) {
	var before []kafka.Offsets
	var deadLetters delivery.DeadLetterCount
	return func(ctx context.Context) (delivery.DeadLetterCount, error) {
		now, err := cluster.Reader.Offsets(ctx, delivery.DeadLetterTopic(name))
		if err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
			return delivery.DeadLetterCount{}, err
		}
		if before != nil && slices.Equal(now, before) {
			return deadLetters, nil
		}
		found, err := delivery.CountDeadLetters(ctx, cluster, name)
		if err == nil {
			deadLetters, before = found, now
		}
		return deadLetters, err
	}
}

// reasons are the words for why an element is a dead letter.
var reasons = map[string]string{
	"UnreadableElement":    "could not be read",
	"ContradictoryElement": "not what LinkedIn was asked for",
	"NotEncodable":         "did not fit the schema",
	"RecordRefused":        "refused by Kafka",
}

func (v *Viewer) deadLetters() web.DeadLetters {
	deadLetters, at, _ := v.letters.last() // why there is no newer is told among the issues
	if at.IsZero() {
		return web.DeadLetters{}
	}
	d := web.DeadLetters{Topic: delivery.DeadLetterTopic(v.Config.Name), Total: int64(deadLetters.Total), More: deadLetters.More, Last: deadLetters.Last}
	for _, name := range slices.Sorted(maps.Keys(deadLetters.Reasons)) {
		d.Reasons = append(d.Reasons, web.Reason{Name: name, Text: reasons[name], Count: int64(deadLetters.Reasons[name])})
	}
	slices.SortStableFunc(d.Reasons, func(a, b web.Reason) int { return int(b.Count - a.Count) })
	return d
}
