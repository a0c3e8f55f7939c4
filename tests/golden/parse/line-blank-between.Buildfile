

FROM a


   
RUN b
	
