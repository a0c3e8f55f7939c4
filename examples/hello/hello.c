/* The smallest image there is: this program, statically linked. */
#include <stdio.h>

int main(int argc, char **argv)
{
	printf("Hello, %s, from an image of one file\n", argc > 1 ? argv[1] : "nobody");
	return 0;
}
