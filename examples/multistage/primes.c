/* Prints the primes below LIMIT, one a line. */
#include <stdio.h>

int main(void)
{
	for (int n = 2; n < LIMIT; n++) {
		int d = 2;

		while (d * d <= n && n % d)
			d++;
		if (d * d > n)
			printf("%d\n", n);
	}
	return 0;
}
