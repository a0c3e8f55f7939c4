FORM alpine
RUNN echo hi
  export A=B --c
# end
