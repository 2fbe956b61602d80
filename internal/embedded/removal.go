package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// DeleteRecords removes everything before the offset from a partition that the broker
// leads, as retention does and kafka-delete-records.sh; -1 is all there is. Kafka's Go
// client does not have this request (Kafka protocol, API key 21, version 0).
func DeleteRecords(ctx context.Context, broker, topic string, partition int, offset int64) error {
	be := binary.BigEndian
	body := be.AppendUint16(nil, 21)
	body = be.AppendUint16(body, 0)
	body = be.AppendUint32(body, 7)       // correlation id
	body = be.AppendUint16(body, 1<<16-1) // no client id
	body = be.AppendUint32(body, 1)
	body = append(be.AppendUint16(body, uint16(len(topic))), topic...)
	body = be.AppendUint32(body, 1)
	body = be.AppendUint32(body, uint32(partition))
	body = be.AppendUint64(body, uint64(offset))
	body = be.AppendUint32(body, 5000)
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", broker)
	if err != nil {
		return fmt.Errorf("connecting to the broker: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write(append(be.AppendUint32(nil, uint32(len(body))), body...)); err != nil {
		return fmt.Errorf("asking for the removal of records: %w", err)
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	answer := make([]byte, be.Uint32(head))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if code := be.Uint16(answer[len(answer)-2:]); code != 0 {
		return fmt.Errorf("removing records of %s-%d: the broker answers %d", topic, partition, code)
	}
	return nil
}
