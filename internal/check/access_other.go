//go:build !unix

package check

// writable cannot be told here without writing.
func writable(string) error { return nil }
