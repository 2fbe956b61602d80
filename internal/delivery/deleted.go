package delivery

import "time"

// Deleted are those of the responses, given with when each was submitted, that
// are known to be deleted since.
func (s *Store) Deleted(submitted map[string]time.Time) []string {
	var ids []string
	for id, at := range submitted {
		if s.deletions.since(id, at.UnixMilli()) {
			ids = append(ids, id)
		}
	}
	return ids
}
