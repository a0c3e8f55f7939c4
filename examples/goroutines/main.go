// Five goroutines that wait side by side: the whole takes as long as the slowest, not as long as all of them.
package main

import (
	"fmt"
	"sync"
	"time"
)

func main() {
	var (
		group sync.WaitGroup
		lines sync.Mutex
	)
	for i := 0; i < 5; i++ {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			time.Sleep(time.Duration(n+1) * time.Second)
			lines.Lock()
			defer lines.Unlock()
			fmt.Printf("Goroutine %d finished\n", n)
		}(i)
	}
	group.Wait()
	fmt.Println("All Goroutines finished")
}
