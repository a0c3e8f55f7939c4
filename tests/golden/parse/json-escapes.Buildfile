FROM a
CMD ["\u00e9\n\t\"\\\/", "\ud83d\ude00", "\ud800", "\b\f\r"]
