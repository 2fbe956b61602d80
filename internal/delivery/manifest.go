package delivery

import (
	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
)

// manifestMessage is the checkpoint record of what a transaction writes.
func (s *Store) manifestMessage(m kafka.Manifest) (kafka.Message, error) {
	record := checkpoint.Transaction{Producer: m.Producer, Epoch: m.Epoch}
	for _, w := range m.Written {
		record.Written = append(record.Written, checkpoint.Written(w))
	}
	msgs, err := s.recordMessages(nil, map[string]any{checkpoint.TransactionKey: record})
	if err != nil {
		return kafka.Message{}, err
	}
	return msgs[0], nil
}

// manifestOf reads what manifestMessage recorded.
func manifestOf(record *checkpoint.Transaction) *kafka.Manifest {
	if record == nil {
		return nil
	}
	m := &kafka.Manifest{Producer: record.Producer, Epoch: record.Epoch}
	for _, w := range record.Written {
		m.Written = append(m.Written, kafka.Written(w))
	}
	return m
}
