package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Request sends a request in the version that it has to one broker, as Kafka's own
// tools do; what the answer says of failures is for the caller to read.
func Request(ctx context.Context, broker string, req kmsg.Request) (kmsg.Response, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", broker)
	if err != nil {
		return nil, fmt.Errorf("connecting to the broker: %w", err)
	}
	defer conn.Close()
	name := kmsg.NameForKey(req.Key())
	if _, err := conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 7)); err != nil {
		return nil, fmt.Errorf("asking %s: %w", name, err)
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, fmt.Errorf("reading the answer to %s: %w", name, err)
	}
	answer := make([]byte, binary.BigEndian.Uint32(head))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, fmt.Errorf("reading the answer to %s: %w", name, err)
	}
	before := 4 // the correlation id, and no tags
	if req.IsFlexible() {
		before++
	}
	res := req.ResponseKind()
	res.SetVersion(req.GetVersion())
	if err := res.ReadFrom(answer[min(before, len(answer)):]); err != nil {
		return nil, fmt.Errorf("reading the answer to %s: %w", name, err)
	}
	return res, nil
}
