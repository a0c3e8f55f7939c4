FROM a
RUN a \ 	 
  b
RUN c\	
d
RUN e   
