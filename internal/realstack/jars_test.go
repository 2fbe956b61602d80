package realstack_test

import (
	"strings"
	"testing"

	"leadstream/internal/realstack"
)

// TestMissingJarsSayWhatToDo: nobody has to read the code to run the tests.
func TestMissingJarsSayWhatToDo(t *testing.T) {
	for name, dir := range map[string]string{"not set": "", "empty directory": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(realstack.EnvJars, dir)
			if _, err := realstack.Jars(); err == nil || !strings.Contains(err.Error(), ".ci/stack") {
				t.Errorf("Jars() = %v, want an error that names .ci/stack", err)
			}
			if dir == "" {
				return
			}
			if _, err := realstack.NewRegistry(realstack.RegistryOptions{Jars: dir, Dir: dir}); err == nil {
				t.Error("NewRegistry without jars = nil, want an error")
			}
		})
	}
}
