package kafka

import (
	"context"
	"errors"
	"slices"
)

// Seal commits a transaction without records over the partitions: its markers
// decide what an acknowledged commit of this producer left open there. A broker
// that is killed between its answer to a commit and the markers may take the
// partitions for deleted when it comes back, and then never writes them: the
// commit counts, and no reader sees it (seen on Apache Kafka 4.4, one broker,
// "Couldn't find leader endpoint … likely deleted already and hence can be
// skipped"). Partitions where nothing is open take no harm. Call it only when the
// last transaction of this producer was committed. Errors as of Commit.
func (p *Producer) Seal(ctx context.Context, partitions []TopicPartition) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.live {
		return p.lost("sealing", 0, errors.New("not initialised since"))
	}
	for part := range slices.Chunk(partitions, MaxPartitions) {
		if err := p.carryOut(ctx, &plan{partitions: part}); err != nil {
			return err
		}
	}
	return nil
}
