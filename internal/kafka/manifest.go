package kafka

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Manifest says what a transaction wrote, and what those before it wrote that were
// committed and were not seen to be ended in their partitions. It stands in the
// transaction itself, in one topic: whoever reads it there as committed knows the
// rest as committed too, also where Kafka lost the markers (see EndHanging), and
// what it does not name, of its epoch and those before, as aborted.
type Manifest struct {
	Producer int64 // id that Kafka gave the transactional id
	Epoch    int16 // of the transaction
	Written  []Written
}

// Written is what a transaction wrote to one partition, by the sequence numbers of
// its records.
type Written struct {
	Topic       string
	Partition   int
	Epoch       int16
	First, Last int32
}

// holds reports whether the record of that sequence number is among it.
func (w Written) holds(epoch int16, sequence int32) bool {
	span := int64(w.Last) - int64(w.First)
	at := int64(sequence) - int64(w.First)
	return epoch == w.Epoch && at&math.MaxInt32 <= span&math.MaxInt32 // they go on at 0 after the largest
}

// manifests is how the transactions of a producer hold their manifests.
type manifests struct {
	topic  string
	record func(Manifest) (Message, error)
	last   *Manifest // of the last transaction that was committed before this epoch
	begun  bool      // a transaction of this epoch holds one
}

// KeepManifests has each transaction from now on hold its manifest in the topic, as
// record makes it; those that write to that topic alone do not, but for the first.
// last is the manifest that the topic holds, nil for none: by it EndHanging knows how
// the transactions of epochs before were ended. What hangs in the topic itself is to
// be ended before. It holds until the next Init.
func (p *Producer) KeepManifests(topic string, last *Manifest, record func(Manifest) (Message, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last != nil && last.Producer != p.pid {
		last = nil // under another id nothing of ours can hang
	}
	p.manifests = &manifests{topic: topic, record: record, last: last}
	if last != nil {
		for _, w := range last.Written {
			p.committed[TopicPartition{w.Topic, w.Partition}] = w
		}
	}
}

// writes is what a transaction of these messages by partition names in its manifest,
// beside what it wrote to the topic of that; needed is false where it holds none.
func (p *Producer) writes(chosen map[TopicPartition][]int32) (written []Written, needed bool) {
	if p.manifests == nil {
		return nil, false
	}
	for tp, messages := range chosen {
		if tp.Topic != p.manifests.topic {
			first := p.next[tp]
			written = append(written, Written{tp.Topic, tp.Partition, p.epoch, first, advance(first, len(messages)-1)})
		}
	}
	return written, len(written) > 0 || !p.manifests.begun
}

// manifest is the record of a transaction that writes that.
func (p *Producer) manifest(written []Written) (Message, error) {
	all := slices.AppendSeq(slices.Clone(written), maps.Values(p.committed))
	slices.SortFunc(all, func(a, b Written) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.First, b.First))
	})
	m, err := p.manifests.record(Manifest{Producer: p.pid, Epoch: p.epoch, Written: all})
	if err != nil {
		return Message{}, fmt.Errorf("recording what a transaction writes: %w", err)
	}
	return m, nil
}

// endedAs reports whether what hangs was committed: by this epoch, as it knows; by one
// before, as the manifest of its last commit says, else the coordinator.
func (p *Producer) endedAs(h hung) bool {
	if committed, ours := p.ended[h.TopicPartition]; ours {
		return committed
	}
	if m := p.manifests; m != nil && m.last != nil && h.epoch <= m.last.Epoch {
		for _, w := range m.last.Written {
			if w.Topic == h.Topic && w.Partition == h.Partition && w.holds(h.epoch, h.sequence) {
				return true
			}
		}
		return false
	}
	if p.inheritedOpen != nil {
		_, open := p.inheritedOpen[h.TopicPartition]
		return !open
	}
	return p.inherited
}
