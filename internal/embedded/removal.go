package embedded

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeleteRecords removes everything before the offset from a partition that the broker
// leads, as retention does and kafka-delete-records.sh; -1 is all there is. Kafka's Go
// client does not have this request.
func DeleteRecords(ctx context.Context, broker, topic string, partition int, offset int64) error {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 5000
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{
		Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: int32(partition), Offset: offset}},
	}}
	res, err := Request(ctx, broker, req)
	if err != nil {
		return err
	}
	for _, t := range res.(*kmsg.DeleteRecordsResponse).Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return fmt.Errorf("removing records of %s-%d: the broker answers %d", topic, partition, p.ErrorCode)
			}
		}
	}
	return nil
}
